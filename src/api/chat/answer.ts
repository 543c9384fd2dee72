/** One choice's answer in its parts, as they come: reasoning, content and tool calls. */
import type { ChoiceOutput } from "../../engine/engine-client.ts"
import { AnswerParser, type AnswerStart } from "../../text/answer/answer-parser.ts"
import { addPart, type AnswerPart } from "../../text/answer/answer-part.ts"
import { ReasoningTokenCounter } from "../../text/answer/reasoning-tokens.ts"
import type { AnswerKind } from "./answer-kinds.ts"
import { mistralCallId, toolCallId } from "../http/request-id.ts"

/** How one request's answers are parsed. */
export interface AnswerPlan {
  readonly kind: AnswerKind
  readonly start: AnswerStart
  /** Else the reasoning is left out, and whatever else would tell of it. */
  readonly showsReasoning: boolean
  /** Calls after the first are left out. */
  readonly isOneCall: boolean
  /** The request made the model call a tool: any, or the one it named. Null: the model decides. */
  readonly forced: "any" | "named" | null
}

/** An answer's part as the API tells of it: a call has an id. */
export type ReplyPart =
  | Exclude<AnswerPart, { type: "call" }>
  | (Extract<AnswerPart, { type: "call" }> & { readonly id: string })

export class Answer {
  /** Null: everything is content. */
  readonly #plan: AnswerPlan | null
  readonly #parser: AnswerParser | null
  readonly #counter: ReasoningTokenCounter | null
  #hasEnded = false

  constructor(plan: AnswerPlan | null) {
    this.#plan = plan
    this.#parser = plan === null ? null : new AnswerParser(plan.kind.format, plan.start)
    const marks = plan?.kind.marks ?? null
    this.#counter = marks === null ? null : new ReasoningTokenCounter(marks, plan!.start.beginsWithReasoning)
  }

  /** Calls that can be run: none was cut off, and the arguments of all are JSON. */
  get hasWholeCalls(): boolean {
    return this.#parser !== null && this.#parser.numCalls > 0 && !this.#hasBrokenCall
  }

  get #hasBrokenCall(): boolean {
    const broken = this.#parser?.firstBrokenCall ?? null
    return broken !== null && (broken === 0 || this.#plan?.isOneCall !== true)
  }

  /** It has ended inside of a call's arguments. */
  get isCutOff(): boolean {
    return this.#parser?.isCutOff ?? false
  }

  /** Undefined where reasoning is not parsed. */
  get numReasoningTokens(): number | undefined {
    return this.#counter?.count
  }

  /** The parts that an output has made certain. */
  take(output: ChoiceOutput): readonly ReplyPart[] {
    if (this.#parser === null) return output.text === "" ? [] : [{ type: "content", text: output.text }]
    this.#counter?.push(endsWithStopToken(output) ? output.tokenIds.slice(0, -1) : output.tokenIds)
    const parts = this.#parser.push(output.text)
    if (output.finishReason !== null && !this.#hasEnded) {
      this.#hasEnded = true
      for (const part of this.#parser.end()) addPart(parts, part)
    }
    return parts.filter((part) => this.#isShown(part)).map((part) => this.#withId(part))
  }

  /** The parts of an answer that comes whole. Where one of its calls cannot be run, all of them are text. */
  takeWhole(output: ChoiceOutput): readonly ReplyPart[] {
    const parts = this.take(output)
    if (this.#plan === null || !this.#hasBrokenCall) return parts
    const raw = new AnswerParser(this.#plan.kind.format.withRawCalls, this.#plan.start)
    const again = raw.push(output.text)
    for (const part of raw.end()) addPart(again, part)
    return again.filter((part) => this.#isShown(part)).map((part) => this.#withId(part))
  }

  #isShown(part: AnswerPart): boolean {
    const { showsReasoning, isOneCall } = this.#plan!
    if (part.type === "reasoning") return showsReasoning
    return part.type === "content" || part.index === 0 || !isOneCall
  }

  #withId(part: AnswerPart): ReplyPart {
    if (part.type !== "call") return part
    const id = this.#plan!.kind.format.tools?.callIds === "mistral" ? mistralCallId() : toolCallId()
    return { ...part, id }
  }

  /** An answer that ended by itself ended for its calls. */
  finishReason({ finishReason }: ChoiceOutput): string | null {
    // The call of a named tool is what was asked for, as a text is.
    const endsForCalls = finishReason === "stop" && this.hasWholeCalls && this.#plan?.forced !== "named"
    return endsForCalls ? "tool_calls" : finishReason
  }
}

/** A token that ends an answer is no part of it. */
function endsWithStopToken({ finishReason, stopReason }: ChoiceOutput): boolean {
  return finishReason === "stop" && typeof stopReason !== "string"
}

/** Tokens and their log-probabilities would tell of reasoning that is left out. */
export function hidesTokens(plan: AnswerPlan | null): boolean {
  return plan !== null && !plan.showsReasoning
}

/** Of all choices; undefined where reasoning is not parsed. */
export function reasoningTokens(answers: Iterable<Answer>): number | undefined {
  let sum: number | undefined
  for (const { numReasoningTokens } of answers) {
    if (numReasoningTokens !== undefined) sum = (sum ?? 0) + numReasoningTokens
  }
  return sum
}

export interface ReplyCall {
  readonly type: "call"
  readonly id: string
  readonly name: string
  readonly arguments: string
}

/** A whole part of an answer. */
export type ReplyItem = Extract<AnswerPart, { type: "reasoning" | "content" }> | ReplyCall

/** The parts of a whole answer, calls with their arguments. */
export function replyItems(parts: readonly ReplyPart[]): ReplyItem[] {
  const items: ReplyItem[] = []
  for (const part of parts) {
    const last = items.at(-1)
    if (part.type === "call") items.push({ type: "call", id: part.id, name: part.name, arguments: "" })
    else if (part.type !== "arguments") items.push(part)
    else if (last?.type === "call") items[items.length - 1] = { ...last, arguments: last.arguments + part.text }
  }
  return items
}

/** All text of one kind. */
export function textOfKind(items: readonly ReplyItem[], kind: "reasoning" | "content"): string {
  return items.map((item) => (item.type === kind && "text" in item ? item.text : "")).join("")
}
