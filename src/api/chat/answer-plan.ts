/** How a chat's answers are to be parsed: by the server's parsers, its tools, and how its prompt ends. */
import type { GrammarSpec } from "../../core/grammar-spec.ts"
import type { ThinkingBudget } from "../../core/sampling-params.ts"
import { beginsWithReasoning } from "../../text/answer/reasoning-formats.ts"
import type { ToolSchemas } from "../../text/answer/tool-format.ts"
import type { Tokenizer } from "../../text/tokenizer.ts"
import type { AnswerKind } from "./answer-kinds.ts"
import type { AnswerPlan } from "./answer.ts"
import type { ApiContext } from "../context.ts"
import type { Prompt } from "../plan/prompt.ts"
import type { ChatRequest } from "../schema/chat.ts"
import { isRecord } from "../schema/coerce.ts"
import type { Tools } from "../schema/messages.ts"

export interface AnswerOptions {
  /** Those of the chat template. */
  readonly variables: Readonly<Record<string, unknown>>
  readonly forced: AnswerPlan["forced"]
}

export async function planAnswer(
  { client, work }: Pick<ApiContext, "client" | "work">, kind: AnswerKind, body: ChatRequest, prompt: Prompt,
  { variables, forced }: AnswerOptions,
): Promise<AnswerPlan> {
  const { reasoning } = kind.format
  const lastTurn = reasoning === null ? "" : await work.decode(lastTurnIds(kind, prompt, client.tokenizer))
  const begins = reasoning !== null && beginsWithReasoning(reasoning, lastTurn, variables)
  return {
    kind,
    start: { beginsWithReasoning: begins, tools: toolSchemas(body.tools ?? []) },
    showsReasoning: body.include_reasoning ?? true,
    isOneCall: body.parallel_tool_calls === false,
    forced,
  }
}

/** Reasoning that begins with the answer, where no mark in the prompt opens it, counts from there. */
export function withUnmarkedStart(
  budget: ThinkingBudget | null, numPromptTokens: number, plan: AnswerPlan | null,
): ThinkingBudget | null {
  if (budget === null || plan?.start.beginsWithReasoning !== true) return budget
  return { ...budget, unmarkedStart: numPromptTokens }
}

/** Reasoning is free: what an answer is held to begins behind it. */
export function behindReasoning(answer: GrammarSpec, { kind, start }: AnswerPlan): GrammarSpec {
  const { reasoning } = kind.format
  if (reasoning === null || (!start.beginsWithReasoning && !reasoning.opensInContent)) return answer
  const { starts, ends } = reasoning
  return { kind: "after_reasoning", starts: start.beginsWithReasoning ? null : starts, ends, answer }
}

/** The prompt behind its last special token, which begins the answer's turn; marks of reasoning do not count. */
function lastTurnIds({ keptTokenIds }: AnswerKind, { tokenIds }: Prompt, tokenizer: Tokenizer): readonly number[] {
  const start = tokenIds.findLastIndex((id) => tokenizer.isSpecial(id) && !keptTokenIds.includes(id))
  return tokenIds.slice(start + 1)
}

function toolSchemas(tools: Tools): ToolSchemas {
  const schemas = tools.map(({ function: tool }) => {
    const parameters = (tool as { parameters?: unknown }).parameters
    return [tool.name, isRecord(parameters) ? parameters : {}] as const
  })
  return new Map(schemas)
}
