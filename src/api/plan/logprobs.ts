/** Log-probabilities in the two forms that OpenAI's endpoints have. */
import type { SamplingParams } from "../../core/sampling-params.ts"
import type { PositionLogprobs, TopLogprob } from "../../engine/engine-client.ts"
import type { ChatLogprobs, ChatTopLogprob } from "../schema/chat.ts"
import type { CompletionLogprobs } from "../schema/completions.ts"

/** JSON has no infinity; OpenAI writes this. */
const LEAST_LOGPROB = -9999

export interface LogprobsForm {
  /** Likeliest tokens to list. */
  readonly numTop: number
  /** Tokens as "token_id:123". */
  readonly asTokenIds: boolean
}

/** A prompt token without log-probabilities: the first. */
export interface FirstToken {
  readonly tokenId: number
  readonly token: string
}

/** Tokens that an answer lists: all of a request's own choice, or the likeliest and the sampled one. */
export function numListed({ logprobs, logprobTokenIds }: SamplingParams, vocabSize: number): number {
  if (logprobTokenIds !== null) return logprobTokenIds.length + 1
  return logprobs === -1 ? vocabSize : (logprobs ?? 0)
}

/**
 * Completions: parallel lists, which begin with `first` where there is one. `textOffset` is where the first token
 * begins, in characters of the token texts.
 */
export function completionLogprobs(
  positions: readonly PositionLogprobs[],
  form: LogprobsForm,
  textOffset: number,
  first: FirstToken | null = null,
): { logprobs: CompletionLogprobs; textOffset: number } {
  const logprobs: CompletionLogprobs = { text_offset: [], token_logprobs: [], tokens: [], top_logprobs: [] }
  let offset = textOffset
  if (first !== null) {
    const token = tokenText(first, form)
    logprobs.text_offset.push(offset)
    logprobs.token_logprobs.push(null)
    logprobs.tokens.push(token)
    logprobs.top_logprobs.push(null)
    offset += codePoints(token)
  }
  for (const position of positions) {
    const token = tokenText(position, form)
    logprobs.text_offset.push(offset)
    logprobs.token_logprobs.push(finite(position.logprob))
    logprobs.tokens.push(token)
    // The sampled token comes first and does not count, unless it is among the likeliest.
    const top = position.top.slice(0, form.numTop + 1)
    logprobs.top_logprobs.push(Object.fromEntries(top.map((entry) => [tokenText(entry, form), finite(entry.logprob)])))
    offset += codePoints(token)
  }
  return { logprobs, textOffset: offset }
}

/** Chat: a list of objects, one a token. */
export function chatLogprobs(positions: readonly PositionLogprobs[], form: LogprobsForm): ChatLogprobs {
  return {
    content: positions.map((position) => ({
      ...chatEntry(position, form),
      top_logprobs: position.top.slice(0, form.numTop).map((entry) => chatEntry(entry, form)),
    })),
  }
}

function chatEntry(entry: TopLogprob, form: LogprobsForm): ChatTopLogprob {
  const token = tokenText(entry, form)
  const bytes = form.asTokenIds ? [...Buffer.from(token)] : [...entry.bytes]
  return { token, logprob: finite(entry.logprob), bytes }
}

function tokenText(entry: FirstToken, form: LogprobsForm): string {
  return form.asTokenIds ? `token_id:${entry.tokenId}` : entry.token
}

export function finite(logprob: number): number {
  return Math.max(logprob, LEAST_LOGPROB)
}

/** Characters as Python counts them. */
function codePoints(text: string): number {
  let count = 0
  for (const _ of text) count++
  return count
}
