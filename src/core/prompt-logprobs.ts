/**
 * One prompt's log-probabilities while they come in, over however many steps and preemptions.
 *
 * The log-probability of token i comes from the output of position i - 1, so token 0 has none. What has come is a run
 * from the start: a preempted request keeps it, and its computation needs no output before the run's end.
 */
import { assert } from "../base/assert.ts"
import type { TokenLogprobs, TokenRange } from "./schedule-plan.ts"

export class PromptLogprobs {
  readonly #numPromptTokens: number
  /** Likeliest tokens to tell with each. */
  readonly numTop: number
  /** Of the tokens 1, 2, ...; null once they have been taken. */
  #entries: TokenLogprobs[] | null = []
  #numKnown = 1

  constructor(numPromptTokens: number, numTop: number) {
    this.#numPromptTokens = numPromptTokens
    this.numTop = numTop
  }

  /** The tokens [0, numKnown) have what they will have. */
  get numKnown(): number {
    return this.#numKnown
  }

  get isComplete(): boolean {
    return this.#numKnown >= this.#numPromptTokens
  }

  /** The tokens whose log-probabilities a step over the positions [from, from + count) gives; null for none. */
  wantedFrom(from: number, count: number): TokenRange | null {
    const first = Math.max(from + 1, this.#numKnown)
    const end = Math.min(from + count + 1, this.#numPromptTokens)
    return first < end ? { first, end } : null
  }

  /** `entries` are those of the tokens from `first` on; what is known already is passed over. */
  add(first: number, entries: readonly TokenLogprobs[]): void {
    assert(first <= this.#numKnown, () => `log-probabilities from token ${first}, known up to ${this.#numKnown}`)
    for (let i = this.#numKnown - first; i < entries.length && this.#entries !== null; i++) {
      this.#entries.push(entries[i] as TokenLogprobs)
      this.#numKnown += 1
    }
  }

  /** Of the tokens in `range`, all known. */
  slice({ first, end }: TokenRange): TokenLogprobs[] {
    const isThere = this.#entries !== null && first >= 1 && end <= this.#numKnown
    assert(isThere && this.#entries !== null, () => `no log-probabilities of [${first}, ${end})`)
    return this.#entries.slice(first - 1, end - 1)
  }

  /** All of them, once; null before they are complete and afterwards. */
  take(): readonly TokenLogprobs[] | null {
    if (!this.isComplete) return null
    const entries = this.#entries
    this.#entries = null
    return entries
  }
}
