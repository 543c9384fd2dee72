import { assert } from "../../base/assert.ts"
import type { ScheduledRequest } from "../../core/schedule-plan.ts"
import type { InputRing, StepArray } from "../../tensor/step-arrays.ts"
import type { SampleRow } from "./sample-row.ts"

export interface TokenHistorySize {
  readonly maxRows: number
  /** Of one row; all rows of a call have so many together. */
  readonly maxTokens: number
}

/** The tokens that penalties look at, row after row, and each row's penalties. */
export class TokenHistory {
  readonly #tokens: StepArray<Int32Array>
  readonly #first: StepArray<Int32Array>
  readonly #numTokens: StepArray<Int32Array>
  readonly #numPrompt: StepArray<Int32Array>
  readonly #repetition: StepArray<Float32Array>
  readonly #frequency: StepArray<Float32Array>
  readonly #presence: StepArray<Float32Array>
  #numRows = 0
  #used = 0

  /** Its arrays are part of `ring`. */
  constructor(ring: InputRing, { maxRows, maxTokens }: TokenHistorySize) {
    this.#tokens = ring.int32(maxTokens)
    this.#first = ring.int32(maxRows)
    this.#numTokens = ring.int32(maxRows)
    this.#numPrompt = ring.int32(maxRows)
    this.#repetition = ring.float32(maxRows)
    this.#frequency = ring.float32(maxRows)
    this.#presence = ring.float32(maxRows)
  }

  /** No rows yet. */
  begin(): void {
    this.#numRows = this.#used = 0
  }

  hasRoom(row: SampleRow): boolean {
    return this.#used + numTokensOf(row) <= this.#tokens.length
  }

  /** The next row. One without penalties has neutral ones and no tokens. */
  add(sampleRow: SampleRow): void {
    const { request: { sampling, numPromptTokens, requestId }, tokenIds } = sampleRow
    const row = this.#numRows++
    const count = numTokensOf(sampleRow)
    assert(this.hasRoom(sampleRow), () => `${requestId}: no room for ${count} tokens`)
    const tokens = this.#tokens.data
    for (let i = 0; i < count; i++) tokens[this.#used + i] = tokenIds.at(i)!
    this.#first.data[row] = this.#used
    this.#numTokens.data[row] = count
    this.#numPrompt.data[row] = Math.min(count, numPromptTokens)
    this.#repetition.data[row] = sampling.repetitionPenalty
    this.#frequency.data[row] = sampling.frequencyPenalty
    this.#presence.data[row] = sampling.presencePenalty
    this.#used += count
  }

  /** The penalty fields of `bz_logits_process` for the rows added since `begin`, which the next upload takes along. */
  fields() {
    if (this.#used === 0) return NO_PENALTIES
    this.#tokens.used = this.#used
    const rows = [this.#first, this.#numTokens, this.#numPrompt, this.#repetition, this.#frequency, this.#presence]
    for (const array of rows) array.used = this.#numRows
    return {
      token_ids: this.#tokens.address(), token_stride: 1, token_row: this.#first.address(),
      num_tokens_of: this.#numTokens.address(), num_prompt_of: this.#numPrompt.address(),
      repetition: this.#repetition.address(), frequency: this.#frequency.address(),
      presence: this.#presence.address(),
    }
  }
}

const NO_PENALTIES = { token_ids: 0, repetition: 0, frequency: 0, presence: 0 }

/** Tokens that penalties look at: none where there are no penalties. */
function numTokensOf({ request, tokenIds }: SampleRow): number {
  return usesPenalties(request) ? tokenIds.length : 0
}

export function usesPenalties(request: ScheduledRequest): boolean {
  const p = request.sampling
  return p.repetitionPenalty !== 1 || p.frequencyPenalty !== 0 || p.presencePenalty !== 0
}
