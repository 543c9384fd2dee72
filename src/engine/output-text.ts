/**
 * One choice's text: token ids in, text out, up to the stop string that ends it.
 *
 *   [0, taken)           given to the reader
 *   [taken, end - held)  may be given
 *   [end - held, end)    could be the start of a stop string: kept back until the choice is finished
 *
 * Only the unread text and the longest stop string's length are kept, however long the text grows.
 */
import type { SamplingParams } from "../core/sampling-params.ts"
import type { DecodeStream, Tokenizer } from "../text/tokenizer.ts"
import { findStopString } from "./stop-strings.ts"

export interface StopStringHit {
  readonly stop: string
  /** Of the tokens just pushed, those up to the one that completed the match. */
  readonly numKeptTokens: number
}

export class OutputText {
  readonly #stream: DecodeStream
  readonly #stops: readonly string[]
  readonly #isStopIncluded: boolean
  readonly #minTokens: number
  /** Characters before the new ones that a match may begin in. */
  readonly #lookBack: number
  #numTokens = 0
  #unread = ""
  /** The text's last `#lookBack` characters. */
  #tail = ""

  constructor(tokenizer: Tokenizer, sampling: SamplingParams, promptIds: readonly number[]) {
    const { skipSpecialTokens, spacesBetweenSpecialTokens } = sampling
    this.#stream = tokenizer.decodeStream({ skipSpecialTokens, spacesBetweenSpecialTokens, promptIds })
    this.#stops = sampling.stop
    this.#isStopIncluded = sampling.includeStopStrInOutput
    this.#minTokens = sampling.minTokens
    this.#lookBack = sampling.stop.reduce((longest, stop) => Math.max(longest, stop.length), 1) - 1
  }

  /**
   * Adds `tokenIds`. `endsWithStopToken`: the last one ended the choice, and has no text unless stop strings are
   * included. Returns the stop string that the new text completed; the text then ends there.
   */
  push(tokenIds: readonly number[], endsWithStopToken: boolean): StopStringHit | null {
    const numTexts = endsWithStopToken && !this.#isStopIncluded ? tokenIds.length - 1 : tokenIds.length
    if (this.#stops.length > 0) return this.#pushChecked(tokenIds, numTexts)
    for (let i = 0; i < numTexts; i++) this.#unread += this.#stream.push(tokenIds[i]!)
    return null
  }

  #pushChecked(tokenIds: readonly number[], numTexts: number): StopStringHit | null {
    const tail = this.#tail
    let text = tail
    // Text of the first `minTokens` tokens never completes a stop string.
    let checkedFrom = tail.length
    const ends: number[] = []
    for (let i = 0; i < numTexts; i++) {
      text += this.#stream.push(tokenIds[i]!)
      ends.push(text.length)
      if (this.#numTokens + i + 1 <= this.#minTokens) checkedFrom = text.length
    }
    this.#numTokens += tokenIds.length
    const match =
      this.#numTokens > this.#minTokens
        ? findStopString(text, text.length - checkedFrom, { stops: this.#stops, isIncluded: this.#isStopIncluded })
        : null
    if (match === null) {
      this.#unread += text.slice(tail.length)
      this.#tail = this.#lookBack === 0 ? "" : text.slice(-this.#lookBack)
      return null
    }
    // What is cut off the tail is unread: that much was kept back.
    if (match.cut < tail.length) this.#unread = this.#unread.slice(0, match.cut - tail.length)
    else this.#unread += text.slice(tail.length, match.cut)
    return { stop: match.stop, numKeptTokens: ends.findIndex((end) => end >= match.end) + 1 }
  }

  /** Takes the text that is certain, or with `isFinished` all that is left. */
  take(isFinished: boolean): string {
    const unread = this.#unread
    const numHeld = isFinished || this.#isStopIncluded ? 0 : this.#lookBack
    if (numHeld === 0) {
      this.#unread = ""
      return unread
    }
    let end = Math.max(0, unread.length - numHeld)
    if (end > 0 && isHighSurrogate(unread.charCodeAt(end - 1))) end -= 1
    this.#unread = unread.slice(end)
    return unread.slice(0, end)
  }
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code < 0xdc00
}
