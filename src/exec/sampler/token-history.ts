import { assert } from "../../base/assert.ts"
import type { ScheduledRequest } from "../../core/schedule-plan.ts"
import type { Device, HostArray } from "../../tensor/device.ts"

export interface TokenHistorySize {
  readonly maxRows: number
  /** Of one row; all rows of a call have so many together. */
  readonly maxTokens: number
}

/** The tokens that penalties look at, row after row, and each row's penalties. */
export class TokenHistory {
  readonly #tokens: HostArray<Int32Array>
  readonly #first: HostArray<Int32Array>
  readonly #numTokens: HostArray<Int32Array>
  readonly #numPrompt: HostArray<Int32Array>
  readonly #repetition: HostArray<Float32Array>
  readonly #frequency: HostArray<Float32Array>
  readonly #presence: HostArray<Float32Array>
  #numRows = 0
  #used = 0

  constructor(device: Device, { maxRows, maxTokens }: TokenHistorySize) {
    this.#tokens = device.int32(maxTokens)
    this.#first = device.int32(maxRows)
    this.#numTokens = device.int32(maxRows)
    this.#numPrompt = device.int32(maxRows)
    this.#repetition = device.float32(maxRows)
    this.#frequency = device.float32(maxRows)
    this.#presence = device.float32(maxRows)
  }

  /** What the constructor allocates. */
  static bytes({ maxRows, maxTokens }: TokenHistorySize): number {
    return 4 * (maxTokens + 6 * maxRows)
  }

  /** No rows yet. */
  begin(): void {
    this.#numRows = this.#used = 0
  }

  hasRoom(numTokens: number): boolean {
    return this.#used + numTokens <= this.#tokens.data.length
  }

  /** The next row. One without penalties has neutral ones and no tokens. */
  add(request: ScheduledRequest): void {
    const { sampling, tokenIds, numPromptTokens, requestId } = request
    const row = this.#numRows++
    const count = usesPenalties(request) ? tokenIds.length : 0
    assert(this.hasRoom(count), () => `${requestId}: no room for ${count} tokens`)
    for (let i = 0; i < count; i++) this.#tokens.data[this.#used + i] = tokenIds.at(i)!
    this.#first.data[row] = this.#used
    this.#numTokens.data[row] = count
    this.#numPrompt.data[row] = Math.min(count, numPromptTokens)
    this.#repetition.data[row] = sampling.repetitionPenalty
    this.#frequency.data[row] = sampling.frequencyPenalty
    this.#presence.data[row] = sampling.presencePenalty
    this.#used += count
  }

  /** The penalty fields of `bz_logits_process` for the rows added since `begin`. */
  fields(): Record<string, number> {
    if (this.#used === 0) return NO_PENALTIES
    return {
      token_ids: this.#tokens.address, token_stride: 1, token_row: this.#first.address,
      num_tokens_of: this.#numTokens.address, num_prompt_of: this.#numPrompt.address,
      repetition: this.#repetition.address, frequency: this.#frequency.address, presence: this.#presence.address,
    }
  }
}

const NO_PENALTIES = { token_ids: 0, repetition: 0, frequency: 0, presence: 0 }

function usesPenalties(request: ScheduledRequest): boolean {
  const p = request.sampling
  return p.repetitionPenalty !== 1 || p.frequencyPenalty !== 0 || p.presencePenalty !== 0
}
