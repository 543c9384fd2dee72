import type { ScheduledRequest, TokenLogprobs } from "../../core/schedule-plan.ts"
import type { Device, HostArray, Matrix } from "../../tensor/device.ts"
import { LogprobsOp } from "./logprobs-op.ts"
import { readsProcessed, returnsLogits, type LogprobsMode } from "../../core/logprobs-mode.ts"

/**
 * Log-probabilities of the sampled tokens. In the raw modes from logits as the model gave them: rows that want them are
 * copied before anything changes the logits, and read once the tokens are known. In the processed modes from what the
 * tokens were drawn from, which the sampler leaves in `processed`.
 */
export class LogprobsReader {
  readonly #device: Device
  readonly #logits: Matrix
  readonly #op: LogprobsOp
  readonly #isProcessed: boolean
  readonly #hostRow: HostArray<Float32Array>
  /** One row for each row that wants it, or, processed, for every row of the step. */
  readonly #kept: Matrix
  /** Rows of this step that want log-probabilities. */
  #rows: number[] = []

  constructor(device: Device, logits: Matrix, op: LogprobsOp, options: { maxRows: number; mode: LogprobsMode }) {
    this.#device = device
    this.#logits = logits
    this.#op = op
    this.#isProcessed = readsProcessed(options.mode)
    this.#hostRow = device.float32(logits.cols)
    this.#kept = device.matrix(options.maxRows, logits.cols)
  }

  /** What the constructor allocates. */
  static bytes(vocabSize: number, maxRows: number): number {
    return 4 * (vocabSize + maxRows * vocabSize)
  }

  /** Before the logits are changed. */
  keepRaw(requests: readonly ScheduledRequest[]): void {
    this.#rows = []
    requests.forEach((request, row) => {
      if (request.sampling.logprobs !== null) this.#rows.push(row)
    })
    if (this.#rows.length === 0 || this.#isProcessed) return
    this.#rows.forEach((row, i) => this.#copyRow(this.#logits, row, this.#kept, i))
  }

  /** Where the sampler has to leave what it draws from, or null: nobody wants it. */
  get processed(): Matrix | null {
    return this.#rows.length > 0 && this.#isProcessed ? this.#kept : null
  }

  /** By row of the step; null where nobody asked, and for requests that `hasFailed`. */
  read(
    requests: readonly ScheduledRequest[], tokenIds: Int32Array, hasFailed: (requestId: string) => boolean,
  ): (TokenLogprobs | null)[] {
    const out = new Array<TokenLogprobs | null>(requests.length).fill(null)
    const kept = this.#kept
    // Where each row that wants them was kept; rows are moved up to lie side by side.
    const places = this.#rows
      .map((row, i) => ({ row, place: this.#isProcessed ? row : i }))
      .filter(({ row }) => !hasFailed(requests[row]!.requestId))
    if (places.length === 0) return out
    places.forEach(({ place }, i) => place !== i && this.#copyRow(kept, place, kept, i))
    const wanted = places.map(({ row }) => numTop(requests[row]!, this.#logits.cols))
    const entries = this.#op.read(kept, places.map(({ row }) => tokenIds[row]!), wanted)
    places.forEach(({ row }, i) => {
      const ids = requests[row]!.sampling.logprobTokenIds
      out[row] = ids === null ? entries[i]! : this.#readChosen(kept, i, entries[i]!, ids)
    })
    return out
  }

  /** The entry of row i of `kept` with these tokens in place of the likeliest. */
  #readChosen(kept: Matrix, i: number, entry: TokenLogprobs, ids: readonly number[]): TokenLogprobs {
    const row = this.#hostRow
    this.#device.stream.copy(row.address, kept.address + i * kept.stride * 4, kept.cols * 4)
    // What log-softmax took off the sampled token it takes off every token.
    const offset = row.data[entry.tokenId]! - entry.logprob
    return { ...entry, topIds: [...ids], topLogprobs: ids.map((id) => Math.fround(row.data[id]! - offset)) }
  }

  #copyRow(from: Matrix, fromRow: number, to: Matrix, toRow: number): void {
    const [source, target] = [from.address + fromRow * from.stride * 4, to.address + toRow * to.stride * 4]
    this.#device.stream.copy(target, source, from.cols * 4)
  }
}

function numTop(request: ScheduledRequest, vocab: number): number {
  const asked = request.sampling.logprobTokenIds === null ? (request.sampling.logprobs ?? 0) : 0
  return asked === -1 ? vocab : Math.min(asked, vocab)
}
