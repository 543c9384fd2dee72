/**
 * One choice's text: token ids in, text out, up to the stop string that ends it.
 *
 *   [0, taken)           given to the reader
 *   [taken, end - held)  may be given
 *   [end - held, end)    the start of a stop string, perhaps: kept back until that is settled
 *
 * Only the unread text is kept, however long the text grows.
 */
import type { SamplingParams } from "../core/sampling-params.ts"
import { MarkerScanner, MarkerSet } from "../text/marker-scanner.ts"
import type { DecodeStream, Tokenizer } from "../text/tokenizer.ts"

export interface StopStringHit {
  readonly stop: string
  /** Of the tokens just pushed, those up to the one that completed the match. */
  readonly numKeptTokens: number
}

export class OutputText {
  readonly #stream: DecodeStream
  readonly #stops: readonly string[]
  readonly #scanner: MarkerScanner | null
  readonly #isStopIncluded: boolean
  readonly #minTokens: number
  #numTokens = 0
  #unread = ""

  constructor(tokenizer: Tokenizer, sampling: SamplingParams, promptIds: readonly number[]) {
    const { skipSpecialTokens, keptTokenIds, spacesBetweenSpecialTokens } = sampling
    this.#stream =
      tokenizer.decodeStream({ skipSpecialTokens, keptTokenIds, spacesBetweenSpecialTokens, promptIds })
    this.#stops = sampling.stop
    this.#scanner = sampling.stop.length === 0 ? null : new MarkerScanner(markerSetOf(sampling.stop))
    this.#isStopIncluded = sampling.includeStopStrInOutput
    this.#minTokens = sampling.minTokens
  }

  /**
   * Adds `tokenIds`. `endsWithStopToken`: the last one ended the choice, and has no text unless stop strings are
   * included. Returns the stop string that the new text completed; the text then ends there.
   */
  push(tokenIds: readonly number[], endsWithStopToken: boolean): StopStringHit | null {
    const numTexts = endsWithStopToken && !this.#isStopIncluded ? tokenIds.length - 1 : tokenIds.length
    for (let i = 0; i < numTexts; i++) {
      const piece = this.#stream.push(tokenIds[i]!)
      const stop = this.#scanner === null ? null : this.#append(piece, this.#scanner)
      if (stop !== null) return { stop, numKeptTokens: i + 1 }
      if (this.#scanner === null) this.#unread += piece
    }
    return null
  }

  /** Adds one token's text, or the part of it that the stop string which ends in it leaves. */
  #append(piece: string, scanner: MarkerScanner): string | null {
    const numBefore = this.#unread.length
    this.#unread += piece
    this.#numTokens += 1
    // Text of the first `minTokens` tokens never completes a stop string.
    if (this.#numTokens <= this.#minTokens) {
      scanner.pass(piece)
      return null
    }
    const match = scanner.find(piece)
    if (match === null) return null
    const stop = this.#stops[match.marker]!
    const end = numBefore + match.end
    // What is cut off is unread: that much was held.
    this.#unread = this.#unread.slice(0, this.#isStopIncluded ? end : end - stop.length)
    return stop
  }

  /** Takes the text that is certain, or with `isFinished` all that is left. */
  take(isFinished: boolean): string {
    const unread = this.#unread
    const numHeld = isFinished || this.#isStopIncluded ? 0 : (this.#scanner?.numHeld ?? 0)
    let end = unread.length - numHeld
    if (numHeld > 0 && end > 0 && isHighSurrogate(unread.charCodeAt(end - 1))) end -= 1
    this.#unread = unread.slice(end)
    return unread.slice(0, end)
  }
}

const markerSets = new WeakMap<readonly string[], MarkerSet>()

/** The choices of a request share their list of stop strings. */
function markerSetOf(stops: readonly string[]): MarkerSet {
  let set = markerSets.get(stops)
  if (set === undefined) markerSets.set(stops, (set = new MarkerSet(stops)))
  return set
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code < 0xdc00
}
