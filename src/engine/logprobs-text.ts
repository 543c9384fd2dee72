/** Gives log-probabilities their tokens' texts. */
import type { TokenLogprobs } from "../core/schedule-plan.ts"
import type { Tokenizer } from "../text/tokenizer.ts"
import type { PositionLogprobs, TopLogprob } from "./engine-client.ts"

/** A character has at most four bytes: this many tokens before a token can hold the start of its first character. */
export const MAX_CONTEXT_TOKENS = 4
const INCOMPLETE = "\ufffd"
/** Tokens whose texts are kept: a large vocabulary's would take tens of megabytes. */
const MAX_KEPT_TEXTS = 16_384

/** A token decoded alone. */
interface TokenText {
  readonly token: string
  readonly bytes: readonly number[]
  /** False where the text ends inside a character. */
  readonly isComplete: boolean
}

export class LogprobsText {
  readonly #tokenizer: Tokenizer
  readonly #encoder = new TextEncoder()
  /** At most `MAX_KEPT_TEXTS`. */
  readonly #alone = new Map<number, TokenText>()

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer
  }

  /** `contextIds`: the output tokens before this one; only the last few are looked at. */
  position(entry: TokenLogprobs, contextIds: readonly number[]): PositionLogprobs {
    const { tokenId, logprob, topIds, topLogprobs } = entry
    // A token that is also among the best has its place there for a rank, as equal ones share the sampled one's.
    const place = topIds.indexOf(tokenId)
    const sampled = this.#top(tokenId, logprob, place < 0 ? entry.rank : place + 1, contextIds)
    const top = [sampled]
    for (let i = 0; i < topIds.length; i++) {
      if (i !== place) top.push(this.#top(topIds[i]!, topLogprobs[i]!, i + 1, contextIds))
    }
    return { ...sampled, top }
  }

  /** `entries` of the prompt's tokens but the first. */
  prompt(entries: readonly TokenLogprobs[], promptTokenIds: readonly number[]): PositionLogprobs[] {
    return entries.map((entry, i) =>
      this.position(entry, promptTokenIds.slice(Math.max(0, i + 1 - MAX_CONTEXT_TOKENS), i + 1)))
  }

  #top(tokenId: number, logprob: number, rank: number, contextIds: readonly number[]): TopLogprob {
    const alone = this.#decodeAlone(tokenId)
    const { token, bytes } = alone.isComplete ? alone : this.#withBytes(this.#completed(tokenId, contextIds))
    return { tokenId, token, bytes, logprob, rank }
  }

  /**
   * The text of one token. Where it ends inside a character its text is empty, and the token that completes the
   * character has the whole of it.
   */
  tokenText(tokenId: number, contextIds: readonly number[]): string {
    const { token, isComplete } = this.#decodeAlone(tokenId)
    return isComplete ? token : this.#completed(tokenId, contextIds)
  }

  /** The text of a token that is incomplete alone. */
  #completed(tokenId: number, contextIds: readonly number[]): string {
    const most = Math.min(MAX_CONTEXT_TOKENS, contextIds.length)
    for (let numContext = 1; numContext <= most; numContext++) {
      const context = contextIds.slice(-numContext)
      const text = this.#tokenizer.decode([...context, tokenId])
      if (text.endsWith(INCOMPLETE)) continue
      let numClean = context.length
      while (numClean > 0 && !this.#decodeAlone(context[numClean - 1]!).isComplete) numClean--
      const clean = this.#tokenizer.decode(context.slice(0, numClean))
      return text.startsWith(clean) ? text.slice(clean.length) : ""
    }
    return ""
  }

  #decodeAlone(tokenId: number): TokenText {
    let text = this.#alone.get(tokenId)
    if (text === undefined) {
      const token = this.#tokenizer.decode([tokenId])
      text = { ...this.#withBytes(token), isComplete: !token.endsWith(INCOMPLETE) }
      if (this.#alone.size >= MAX_KEPT_TEXTS) this.#alone.clear()
      this.#alone.set(tokenId, text)
    }
    return text
  }

  #withBytes(token: string): { token: string; bytes: readonly number[] } {
    return { token, bytes: Array.from(this.#encoder.encode(token)) }
  }
}
