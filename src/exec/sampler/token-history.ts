import type { ScheduledRequest } from "../../core/schedule-plan.ts"
import type { Device, HostArray } from "../../tensor/device.ts"

export function usesPenalties(request: ScheduledRequest): boolean {
  const p = request.sampling
  return p.repetitionPenalty !== 1 || p.frequencyPenalty !== 0 || p.presencePenalty !== 0
}

interface Buffers {
  readonly tokens: HostArray<Int32Array>
  readonly rows: HostArray<Int32Array>
  readonly numTokens: HostArray<Int32Array>
  readonly numPrompt: HostArray<Int32Array>
  readonly repetition: HostArray<Float32Array>
  readonly frequency: HostArray<Float32Array>
  readonly presence: HostArray<Float32Array>
}

/** The tokens that penalties look at, [rows, max_model_len]; allocated when the first request with a penalty comes. */
export class TokenHistory {
  /** The fields of `bz_logits_process` that switch penalties off. */
  static readonly NONE = { token_ids: 0, repetition: 0, frequency: 0, presence: 0 }
  readonly #device: Device
  readonly #maxRows: number
  readonly #stride: number
  #buffers: Buffers | null = null

  constructor(device: Device, maxRows: number, maxModelLen: number) {
    this.#device = device
    this.#maxRows = maxRows
    this.#stride = maxModelLen
  }

  /**
   * The penalty fields of `bz_logits_process` for these rows; a row without penalties has neutral ones and no tokens.
   */
  fill(requests: readonly ScheduledRequest[]): Record<string, number> {
    const b = (this.#buffers ??= this.#allocate())
    requests.forEach((request, row) => {
      const p = request.sampling
      const used = usesPenalties(request)
      const count = used ? request.tokenIds.length : 0
      for (let i = 0; i < count; i++) b.tokens.data[row * this.#stride + i] = request.tokenIds[i]!
      b.rows.data[row] = row
      b.numTokens.data[row] = count
      b.numPrompt.data[row] = used ? request.numPromptTokens : 0
      b.repetition.data[row] = p.repetitionPenalty
      b.frequency.data[row] = p.frequencyPenalty
      b.presence.data[row] = p.presencePenalty
    })
    return {
      token_ids: b.tokens.address, token_stride: this.#stride, token_row: b.rows.address,
      num_tokens_of: b.numTokens.address, num_prompt_of: b.numPrompt.address, repetition: b.repetition.address,
      frequency: b.frequency.address, presence: b.presence.address,
    }
  }

  #allocate(): Buffers {
    const [device, rows] = [this.#device, this.#maxRows]
    return {
      tokens: device.int32(rows * this.#stride), rows: device.int32(rows), numTokens: device.int32(rows),
      numPrompt: device.int32(rows), repetition: device.float32(rows), frequency: device.float32(rows),
      presence: device.float32(rows),
    }
  }
}
