/**
 * From a request's output tokens to the text that may be sent: decoding, stop strings, and what must wait.
 *
 *   text = released + held     held: the end that could still become a stop string (usually nothing)
 *
 * What is released is final: joined deltas equal the text that a request would get without streaming. Differs from vLLM
 * in delay alone, which holds back the length of the longest stop string whatever the text.
 */
import { assert } from "../base/assert.ts"
import { checkStopStrings, heldLength } from "./stop-strings.ts"
import type { DecodeStream, Tokenizer } from "./tokenizer.ts"

export interface DetokenizerOptions {
  /** A leading space may depend on the prompt's last tokens. */
  promptIds?: readonly number[]
  /** Without empty strings. */
  stop?: readonly string[]
  includeStopStrInOutput?: boolean
  /** Text of the first `minTokens` tokens does not complete a stop string. */
  minTokens?: number
  /** Default true, as in the API. */
  skipSpecialTokens?: boolean
  spacesBetweenSpecialTokens?: boolean
  /** False leaves all text empty; `stop` must be empty then. */
  detokenize?: boolean
}

export interface DetokenizerUpdate {
  /** Text released by this step. */
  readonly text: string
  /** The stop string that ended the request, or null. After one, `update` may not be called again. */
  readonly stopString: string | null
  /** How many of the step's tokens belong to the output: those after the one that completed a stop string do not. */
  readonly numTokensKept: number
}

export class IncrementalDetokenizer {
  /** Output tokens so far, a stop token included. */
  readonly tokenIds: number[] = []
  readonly #stream: DecodeStream | null
  readonly #stop: readonly string[]
  readonly #includeStop: boolean
  readonly #minTokens: number
  /** How far back a stop string may begin: the longest one less a character. */
  readonly #reach: number
  /** The text's last `#reach` characters, of which the last `#held` are not released. */
  #recent = ""
  #held = 0
  #released = ""
  #isStopped = false

  constructor(tokenizer: Tokenizer, options: DetokenizerOptions = {}) {
    this.#stop = options.stop ?? []
    this.#includeStop = options.includeStopStrInOutput === true
    this.#minTokens = options.minTokens ?? 0
    this.#reach = Math.max(1, ...this.#stop.map((text) => text.length)) - 1
    assert(this.#stop.every((text) => text !== ""), "empty stop string")
    assert(options.detokenize !== false || this.#stop.length === 0, "stop strings need detokenize")
    this.#stream = options.detokenize === false ? null : tokenizer.decodeStream({
      promptIds: options.promptIds ?? [],
      skipSpecialTokens: options.skipSpecialTokens !== false,
      spacesBetweenSpecialTokens: options.spacesBetweenSpecialTokens !== false,
    })
  }

  /** All text released so far. */
  get text(): string {
    return this.#released
  }

  /**
   * Takes the tokens of one step. `stopTerminated`: the engine ended the request at the last of them, a stop token; its
   * text is left out unless stop strings are included in the output.
   */
  update(newTokenIds: readonly number[], stopTerminated: boolean): DetokenizerUpdate {
    assert(!this.#isStopped, "update after a stop string")
    const numDecoded = newTokenIds.length - (stopTerminated && !this.#includeStop && newTokenIds.length > 0 ? 1 : 0)
    let fresh = ""
    let uncheckedLength = 0
    /** Length of `fresh` after each token. */
    const ends: number[] = []
    newTokenIds.forEach((id, i) => {
      this.tokenIds.push(id)
      if (i < numDecoded) fresh += this.#stream?.push(id) ?? ""
      ends.push(fresh.length)
      if (this.tokenIds.length <= this.#minTokens) uncheckedLength = fresh.length
    })
    return this.#release(fresh, fresh.length - uncheckedLength, ends)
  }

  #release(fresh: string, numNewChars: number, ends: readonly number[]): DetokenizerUpdate {
    const text = this.#recent + fresh
    const releasedEnd = this.#recent.length - this.#held
    const isChecked = this.tokenIds.length > this.#minTokens
    const match = isChecked ? checkStopStrings(text, numNewChars, this.#stop, this.#includeStop) : null
    let releaseEnd: number
    let numTokensKept = ends.length
    if (match !== null) {
      this.#isStopped = true
      this.#held = 0
      releaseEnd = match.truncateTo < 0 ? text.length : match.truncateTo
      numTokensKept = ends.findIndex((end) => this.#recent.length + end >= match.end) + 1
      this.tokenIds.length -= ends.length - numTokensKept
    } else {
      this.#held = this.#includeStop ? 0 : heldLength(text, this.#stop)
      releaseEnd = text.length - this.#held
    }
    assert(
      releaseEnd >= releasedEnd,
      () => `released ${releasedEnd} of ${text.length} characters, cut at ${releaseEnd}`,
    )
    const delta = text.slice(releasedEnd, releaseEnd)
    this.#recent = this.#reach === 0 ? "" : text.slice(-this.#reach)
    this.#released += delta
    return { text: delta, stopString: match?.stopString ?? null, numTokensKept }
  }

  /**
   * The text that was held back, once the request has ended for another reason than a stop string. Bytes of a character
   * that was not completed give no text, as in vLLM.
   */
  finish(): string {
    const text = this.#held === 0 ? "" : this.#recent.slice(-this.#held)
    this.#held = 0
    this.#released += text
    return text
  }
}
