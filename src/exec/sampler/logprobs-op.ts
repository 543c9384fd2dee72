import { LOGPROBS_MODE } from "../../../ffi/abi.ts"
import { Args } from "../../../ffi/args.ts"
import { assert } from "../../base/assert.ts"
import type { TokenLogprobs } from "../../core/schedule-plan.ts"
import type { Device, HostArray, Matrix } from "../../tensor/device.ts"

interface Buffers {
  readonly ids: HostArray<Int32Array>
  readonly logprob: HostArray<Float32Array>
  readonly rank: HostArray<Int32Array>
}

interface TopBuffers {
  readonly ids: HostArray<Int32Array>
  readonly logprobs: HostArray<Float32Array>
  readonly capacity: number
}

/** Log-softmax of logits, read at one token a row and at the likeliest. Buffers are made when first needed and kept. */
export class LogprobsOp {
  readonly #device: Device
  readonly #maxRows: number
  readonly #args: Args<"logprobs">
  #buffers: Buffers | null = null
  #top: TopBuffers | null = null

  /** `asLogits`: the logits themselves instead of their log-softmax. */
  constructor(device: Device, options: { vocabSize: number; maxRows: number; asLogits: boolean }) {
    this.#device = device
    this.#maxRows = options.maxRows
    const mode = options.asLogits ? LOGPROBS_MODE.logits : LOGPROBS_MODE.logSoftmax
    this.#args = new Args("logprobs", { vocab_size: options.vocabSize, mode })
  }

  /** Row i of `logits` is read at `tokenIds[i]` and at its `numTop[i]` largest, at most the vocabulary. */
  read(logits: Matrix, tokenIds: ArrayLike<number>, numTop: readonly number[]): TokenLogprobs[] {
    const numRows = tokenIds.length
    assert(numRows <= this.#maxRows, () => `log-probabilities of ${numRows} rows, room for ${this.#maxRows}`)
    const k = Math.max(0, ...numTop)
    const b = (this.#buffers ??= this.#allocate())
    const top = this.#topOf(k)
    b.ids.data.set(tokenIds)
    this.#device.stream.run("bz_logprobs", this.#args.set({
      num_requests: numRows, num_top: k, logits: logits.address, logits_stride: logits.stride, ids: b.ids.address,
      out_logprob: b.logprob.address, out_rank: b.rank.address, out_top_ids: top.ids.address,
      out_top_logprobs: top.logprobs.address,
    }))
    return Array.from(numTop, (count, i) => ({
      tokenId: tokenIds[i]!, logprob: b.logprob.data[i]!, rank: b.rank.data[i]!,
      topIds: Array.from(top.ids.data.subarray(i * k, i * k + count)),
      topLogprobs: Array.from(top.logprobs.data.subarray(i * k, i * k + count)),
    }))
  }

  #allocate(): Buffers {
    const [device, rows] = [this.#device, this.#maxRows]
    return { ids: device.int32(rows), logprob: device.float32(rows), rank: device.int32(rows) }
  }

  #topOf(k: number): TopBuffers {
    const capacity = Math.max(1, this.#maxRows * k)
    if (this.#top === null || this.#top.capacity < capacity)
      this.#top = { ids: this.#device.int32(capacity), logprobs: this.#device.float32(capacity), capacity }
    return this.#top
  }
}
