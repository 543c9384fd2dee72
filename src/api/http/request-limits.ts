/** How much one request may bring, beyond what its schema says; each limit has a flag. */
import { RequestError } from "../../base/errors.ts"
import { shapeError } from "../schema/parse.ts"

export interface RequestLimits {
  /** Choices of one prompt. */
  readonly maxN: number
  readonly maxPrompts: number
  readonly maxMessages: number
  readonly maxStopStrings: number
  /** UTF-16 units of one stop string. */
  readonly maxStopLength: number
}

export const DEFAULT_REQUEST_LIMITS: RequestLimits = {
  maxN: 16384, maxPrompts: 1024, maxMessages: 10_000, maxStopStrings: 128, maxStopLength: 4096,
}

/** Errors: `RequestError` naming the field, how much it holds, and the limit. `body` need not have all of them. */
export function checkRequestLimits(body: Readonly<Record<string, unknown>>, limits: RequestLimits): void {
  const { n, prompt, messages } = body
  if (typeof n === "number" && n > limits.maxN) throw new RequestError(`n must be at most ${limits.maxN}, got ${n}.`)
  if (Array.isArray(prompt) && typeof prompt[0] !== "number" && prompt.length > limits.maxPrompts) {
    const words = `At most ${limits.maxPrompts} prompts fit in a request, got ${prompt.length}.`
    throw new RequestError(words, { param: "prompt" })
  }
  if (Array.isArray(messages)) checkMessages(messages, limits)
  // Anthropic's clients have another word for it.
  for (const field of ["stop", "stop_sequences"]) checkStops(field, body[field], limits)
}

/** Of one conversation, or of several in a list each. */
function checkMessages(messages: readonly unknown[], { maxMessages, maxPrompts }: RequestLimits): void {
  const isBatch = Array.isArray(messages[0])
  if (isBatch && messages.length > maxPrompts) {
    const words = `At most ${maxPrompts} conversations fit in a request, got ${messages.length}.`
    throw new RequestError(words, { param: "messages" })
  }
  for (const conversation of isBatch ? messages : [messages]) {
    if (!Array.isArray(conversation) || conversation.length <= maxMessages) continue
    const words = `At most ${maxMessages} messages fit in a ${isBatch ? "conversation" : "request"}`
    throw new RequestError(`${words}, got ${conversation.length}.`, { param: "messages" })
  }
}

function checkStops(field: string, stop: unknown, { maxStopStrings, maxStopLength }: RequestLimits): void {
  const stops = Array.isArray(stop) ? stop : [stop]
  if (stops.length > maxStopStrings) {
    const words = `Input should be at most ${maxStopStrings} strings, got a list of ${stops.length}`
    throw shapeError(`body.${field}`, words)
  }
  for (const text of stops) {
    if (typeof text !== "string" || text.length <= maxStopLength) continue
    const words = `Input should be texts of at most ${maxStopLength} characters, got one of ${text.length}`
    throw shapeError(`body.${field}`, words)
  }
}
