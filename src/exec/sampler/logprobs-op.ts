import { LOGPROBS_MODE } from "../../../ffi/abi.ts"
import { Args } from "../../../ffi/args.ts"
import { assert } from "../../base/assert.ts"
import type { TokenLogprobs } from "../../core/schedule-plan.ts"
import type { Device, HostArray, Matrix } from "../../tensor/device.ts"

export interface LogprobsOptions {
  readonly vocabSize: number
  readonly maxRows: number
  /** The logits themselves instead of their log-softmax. */
  readonly asLogits: boolean
}

/**
 * Log-softmax of logits, read at one token a row and at the likeliest. All memory is allocated at the start: rows that
 * ask for more of the likeliest tokens than there is room for go in several calls.
 */
export class LogprobsOp {
  readonly #device: Device
  readonly #maxRows: number
  readonly #args: Args<"logprobs">
  readonly #ids: HostArray<Int32Array>
  readonly #logprob: HostArray<Float32Array>
  readonly #rank: HostArray<Int32Array>
  readonly #topIds: HostArray<Int32Array>
  readonly #topLogprobs: HostArray<Float32Array>

  constructor(device: Device, { vocabSize, maxRows, asLogits }: LogprobsOptions) {
    this.#device = device
    this.#maxRows = maxRows
    this.#ids = device.int32(maxRows)
    this.#logprob = device.float32(maxRows)
    this.#rank = device.int32(maxRows)
    this.#topIds = device.int32(maxTop(vocabSize, maxRows))
    this.#topLogprobs = device.float32(maxTop(vocabSize, maxRows))
    const mode = asLogits ? LOGPROBS_MODE.logits : LOGPROBS_MODE.logSoftmax
    this.#args = new Args("logprobs", {
      vocab_size: vocabSize, mode, ids: this.#ids.address, out_logprob: this.#logprob.address,
      out_rank: this.#rank.address, out_top_ids: this.#topIds.address, out_top_logprobs: this.#topLogprobs.address,
    })
  }

  /** What the constructor allocates. */
  static bytes({ vocabSize, maxRows }: Omit<LogprobsOptions, "asLogits">): number {
    return 4 * (3 * maxRows + 2 * maxTop(vocabSize, maxRows))
  }

  /** Row i of `logits` is read at `tokenIds[i]` and at its `numTop[i]` largest, at most the vocabulary. */
  read(logits: Matrix, tokenIds: ArrayLike<number>, numTop: readonly number[]): TokenLogprobs[] {
    const numRows = tokenIds.length
    assert(numRows <= this.#maxRows, () => `log-probabilities of ${numRows} rows, room for ${this.#maxRows}`)
    const k = Math.max(0, ...numTop)
    const most = k === 0 ? numRows : Math.floor(this.#topIds.data.length / k)
    const entries: TokenLogprobs[] = []
    for (let from = 0; from < numRows; from += most) {
      const ids = Array.from({ length: Math.min(most, numRows - from) }, (_, i) => tokenIds[from + i]!)
      const rows = { ...logits, address: logits.address + from * logits.stride * 4 }
      this.#readRows(rows, ids, k)
      ids.forEach((id, i) => entries.push(this.#entry(id, { row: i, k, count: numTop[from + i]! })))
    }
    return entries
  }

  #readRows(logits: Matrix, ids: readonly number[], k: number): void {
    this.#ids.data.set(ids)
    this.#device.stream.run("bz_logprobs", this.#args.set({
      num_requests: ids.length, num_top: k, logits: logits.address, logits_stride: logits.stride,
    }))
  }

  #entry(tokenId: number, { row, k, count }: { row: number; k: number; count: number }): TokenLogprobs {
    return {
      tokenId, logprob: this.#logprob.data[row]!, rank: this.#rank.data[row]!,
      topIds: Array.from(this.#topIds.data.subarray(row * k, row * k + count)),
      topLogprobs: Array.from(this.#topLogprobs.data.subarray(row * k, row * k + count)),
    }
  }
}

/** Likeliest tokens that all rows of a call have together: one row may ask for the whole vocabulary. */
function maxTop(vocabSize: number, maxRows: number): number {
  return Math.max(vocabSize, maxRows * Math.min(vocabSize, USUAL_TOP))
}

/** What a row asks for at most unless the operator allows more. */
const USUAL_TOP = 20
