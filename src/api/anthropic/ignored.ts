import { CONTEXT_MANAGEMENT, noteIgnored } from "../plan/ignored-fields.ts"
import type { IgnoredField } from "../plan/ignored-fields.ts"
import type { LogOnce } from "../observe/log-once.ts"
import type { CountTokensRequest } from "../schema/anthropic.ts"
import { isSkipped } from "./conversation.ts"
import { isServerTool } from "./to-chat.ts"

const FIELDS: readonly IgnoredField[] = [
  CONTEXT_MANAGEMENT,
  { field: "speed", neutral: ["standard"], because: "there is one speed" },
  { field: "service_tier", neutral: ["auto", "standard_only"], because: "there is one tier" },
]

const THINKING_BUDGET: IgnoredField = {
  field: "thinking.budget_tokens", because: "nothing marks the model's reasoning: see --reasoning-config",
}

/** Logs the fields, tools and blocks of a request that do not affect its answer. */
export function noteIgnoredOf(warnOnce: LogOnce, body: CountTokensRequest, marksReasoning: boolean): void {
  noteIgnored(warnOnce, body, marksReasoning ? FIELDS : [...FIELDS, THINKING_BUDGET])
  const dropped = new Set((body.tools ?? []).filter(isServerTool).map(({ type }) => type!.slice(0, 64)))
  if (dropped.size > 0) {
    warnOnce("left tools out that are not functions", { types: [...dropped].toSorted().slice(0, 16).join(",") })
  }
  for (const { role, content } of body.messages) {
    if (role !== "assistant" || typeof content === "string") continue
    for (const { type } of content.filter(isSkipped)) {
      warnOnce("left a block of another server out of the prompt", { type: type.slice(0, 64) })
    }
  }
}
