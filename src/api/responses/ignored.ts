import { CONTEXT_MANAGEMENT, noteIgnored } from "../plan/ignored-fields.ts"
import type { IgnoredField } from "../plan/ignored-fields.ts"
import type { LogOnce } from "../observe/log-once.ts"
import type { InputTokensRequest } from "../schema/responses.ts"
import { isSkipped } from "./foreign-items.ts"
import type { ResponseTools } from "./tools.ts"

const FIELDS: readonly IgnoredField[] = [
  CONTEXT_MANAGEMENT,
  { field: "service_tier", neutral: ["auto", "default"], because: "there is one tier" },
  { field: "text.verbosity", neutral: ["medium"], because: "there is no setting for it" },
  { field: "reasoning.summary", neutral: ["auto"], because: "reasoning is returned in full" },
]

/** Logs the fields, tools and items of a request that do not affect its answer. */
export function noteIgnoredOf(warnOnce: LogOnce, body: InputTokensRequest, { dropped }: ResponseTools): void {
  noteIgnored(warnOnce, body, FIELDS)
  if (dropped.length > 0) {
    const types = dropped.map((type) => type.slice(0, 64)).toSorted().slice(0, 16).join(",")
    warnOnce("left tools out that are not functions", { types })
  }
  for (const { type } of typeof body.input === "string" ? [] : (body.input ?? [])) {
    if (isSkipped(type ?? "message")) warnOnce("left an item of another server out of the prompt", { type: type! })
  }
}
