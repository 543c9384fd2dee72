import { LOGPROBS_MODE } from "../../../ffi/abi.ts"
import { Args } from "../../../ffi/args.ts"
import type { ScheduledRequest, TokenLogprobs } from "../../core/schedule-plan.ts"
import type { Device, HostArray, Matrix } from "../../tensor/device.ts"

interface Buffers {
  readonly raw: Matrix
  readonly ids: HostArray<Int32Array>
  readonly logprob: HostArray<Float32Array>
  readonly rank: HostArray<Int32Array>
}

interface TopBuffers {
  readonly ids: HostArray<Int32Array>
  readonly logprobs: HostArray<Float32Array>
  readonly capacity: number
}

/**
 * Log-probabilities of the sampled tokens, from logits as the model gave them: rows that want them are copied before
 * anything changes the logits, and read once the tokens are known.
 */
export class LogprobsReader {
  readonly #device: Device
  readonly #logits: Matrix
  readonly #maxRows: number
  readonly #args: Args<"logprobs">
  #buffers: Buffers | null = null
  #top: TopBuffers | null = null
  /** Rows of this step that want log-probabilities, in the order of the raw copy. */
  #rows: number[] = []

  constructor(device: Device, logits: Matrix, maxRows: number) {
    this.#device = device
    this.#logits = logits
    this.#maxRows = maxRows
    this.#args = new Args("logprobs", { vocab_size: logits.cols, mode: LOGPROBS_MODE.logSoftmax })
  }

  keepRaw(requests: readonly ScheduledRequest[]): void {
    this.#rows = []
    requests.forEach((request, row) => {
      if (request.sampling.logprobs !== null) this.#rows.push(row)
    })
    if (this.#rows.length === 0) return
    const { raw } = (this.#buffers ??= this.#allocate())
    const bytes = this.#logits.cols * 4
    this.#rows.forEach((row, i) => {
      this.#device.stream.copy(raw.address + i * bytes, this.#logits.address + row * this.#logits.stride * 4, bytes)
    })
  }

  read(requests: readonly ScheduledRequest[], tokenIds: Int32Array): (TokenLogprobs | null)[] {
    const out = new Array<TokenLogprobs | null>(requests.length).fill(null)
    if (this.#rows.length === 0) return out
    const vocab = this.#logits.cols
    const wanted = this.#rows.map((row) => numTop(requests[row]!, vocab))
    const k = Math.max(...wanted)
    const b = (this.#buffers ??= this.#allocate())
    const top = this.#topOf(k)
    this.#rows.forEach((row, i) => (b.ids.data[i] = tokenIds[row]!))
    this.#device.stream.run("bz_logprobs", this.#args.set({
      num_requests: this.#rows.length, num_top: k,
      logits: b.raw.address, logits_stride: b.raw.stride, ids: b.ids.address, out_logprob: b.logprob.address,
      out_rank: b.rank.address, out_top_ids: top.ids.address, out_top_logprobs: top.logprobs.address,
    }))
    this.#rows.forEach((row, i) => {
      const end = i * k + wanted[i]!
      out[row] = {
        tokenId: tokenIds[row]!, logprob: b.logprob.data[i]!, rank: b.rank.data[i]!,
        topIds: Array.from(top.ids.data.subarray(i * k, end)),
        topLogprobs: Array.from(top.logprobs.data.subarray(i * k, end)),
      }
    })
    return out
  }

  #allocate(): Buffers {
    const [device, rows] = [this.#device, this.#maxRows]
    return {
      raw: device.matrix(rows, this.#logits.cols), ids: device.int32(rows), logprob: device.float32(rows),
      rank: device.int32(rows),
    }
  }

  #topOf(k: number): TopBuffers {
    const capacity = Math.max(1, this.#maxRows * k)
    if (this.#top === null || this.#top.capacity < capacity)
      this.#top = { ids: this.#device.int32(capacity), logprobs: this.#device.float32(capacity), capacity }
    return this.#top
  }
}

function numTop(request: ScheduledRequest, vocab: number): number {
  const asked = request.sampling.logprobs ?? 0
  return asked === -1 ? vocab : Math.min(asked, vocab)
}
