import type { ScheduledRequest } from "../../core/schedule-plan.ts"
import type { TokenSequence } from "../../core/token-list.ts"

/**
 * One position of a step at which a token is drawn: the unit of the output head and of the sampler. A request without
 * drafts has one such row, after its last token; one with k drafts has k + 1, after each of them too. What a row's
 * request asks for (penalties, bad words, masks, log-probabilities) is applied to the row's own prefix.
 */
export interface SampleRow {
  readonly request: ScheduledRequest
  /** The row of the step's tokens whose output the draw comes from. */
  readonly row: number
  /** Drafts before the drawn token. */
  readonly numDrafts: number
  /** Tokens before the drawn one. */
  readonly numTokens: number
  /** These tokens: prompt, outputs, drafts. Without the last one while only the device knows it. */
  readonly tokenIds: TokenSequence
}

/** Appends the rows of a request, `lastRow` being its last row of the step. */
export function pushSampleRows(rows: SampleRow[], request: ScheduledRequest, lastRow: number): void {
  const { draftTokenIds, tokenIds, numUnknownTokens } = request
  const firstRow = lastRow - draftTokenIds.length
  const numTokens = tokenIds.length + numUnknownTokens
  rows.push({ request, row: firstRow, numDrafts: 0, numTokens, tokenIds })
  for (let numDrafts = 1; numDrafts <= draftTokenIds.length; numDrafts++) {
    const prefix = new DraftedTokens(tokenIds, draftTokenIds, numDrafts)
    rows.push({ request, row: firstRow + numDrafts, numDrafts, numTokens: prefix.length, tokenIds: prefix })
  }
}

/** A request's tokens with the first of its drafts behind them, read in place. */
class DraftedTokens implements TokenSequence {
  readonly length: number
  readonly #tokens: TokenSequence
  readonly #drafts: readonly number[]
  readonly #known: number

  constructor(tokens: TokenSequence, drafts: readonly number[], numDrafts: number) {
    this.#tokens = tokens
    this.#drafts = drafts
    this.#known = tokens.length
    this.length = tokens.length + numDrafts
  }

  at(index: number): number | undefined {
    if (index >= this.length) return undefined
    return index < this.#known ? this.#tokens.at(index) : this.#drafts[index - this.#known]
  }

  slice(start = 0, end = this.length): number[] {
    const last = Math.min(end, this.length)
    const tokens = this.#tokens.slice(start, Math.min(last, this.#known))
    for (let i = Math.max(start, this.#known); i < last; i++) tokens.push(this.at(i)!)
    return tokens
  }

  *[Symbol.iterator](): Iterator<number> {
    for (let i = 0; i < this.length; i++) yield this.at(i)!
  }
}

/** The tokens that a request gains: its drafts as long as they are what was drawn, and one more. */
export function acceptedTokens(drawn: readonly number[], draftTokenIds: readonly number[]): number[] {
  let count = 0
  while (count < draftTokenIds.length && drawn[count] === draftTokenIds[count]) count++
  return drawn.slice(0, count + 1)
}
