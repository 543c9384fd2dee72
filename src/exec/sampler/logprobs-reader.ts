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
  readonly #maxRows: number
  readonly #op: LogprobsOp
  readonly #isProcessed: boolean
  #hostRow: HostArray<Float32Array> | null = null
  /** One row for each row that wants it, or, processed, for every row of the step. */
  #kept: Matrix | null = null
  /** Rows of this step that want log-probabilities. */
  #rows: number[] = []

  constructor(device: Device, logits: Matrix, options: { maxRows: number; mode: LogprobsMode }) {
    const { maxRows, mode } = options
    this.#device = device
    this.#logits = logits
    this.#maxRows = maxRows
    this.#isProcessed = readsProcessed(mode)
    this.#op = new LogprobsOp(device, { vocabSize: logits.cols, maxRows, asLogits: returnsLogits(mode) })
  }

  /** Before the logits are changed. */
  keepRaw(requests: readonly ScheduledRequest[]): void {
    this.#rows = []
    requests.forEach((request, row) => {
      if (request.sampling.logprobs !== null) this.#rows.push(row)
    })
    if (this.#rows.length === 0 || this.#isProcessed) return
    const kept = (this.#kept ??= this.#device.matrix(this.#maxRows, this.#logits.cols))
    this.#rows.forEach((row, i) => this.#copyRow(this.#logits, row, kept, i))
  }

  /** Where the sampler has to leave what it draws from, or null: nobody wants it. */
  get processed(): Matrix | null {
    if (this.#rows.length === 0 || !this.#isProcessed) return null
    return (this.#kept ??= this.#device.matrix(this.#maxRows, this.#logits.cols))
  }

  read(requests: readonly ScheduledRequest[], tokenIds: Int32Array): (TokenLogprobs | null)[] {
    const out = new Array<TokenLogprobs | null>(requests.length).fill(null)
    if (this.#rows.length === 0) return out
    const kept = this.#kept!
    if (this.#isProcessed) this.#rows.forEach((row, i) => row !== i && this.#copyRow(kept, row, kept, i))
    const wanted = this.#rows.map((row) => numTop(requests[row]!, this.#logits.cols))
    const entries = this.#op.read(kept, this.#rows.map((row) => tokenIds[row]!), wanted)
    this.#rows.forEach((row, i) => {
      const ids = requests[row]!.sampling.logprobTokenIds
      out[row] = ids === null ? entries[i]! : this.#readChosen(kept, i, entries[i]!, ids)
    })
    return out
  }

  /** The entry of row i of `kept` with these tokens in place of the likeliest. */
  #readChosen(kept: Matrix, i: number, entry: TokenLogprobs, ids: readonly number[]): TokenLogprobs {
    const row = (this.#hostRow ??= this.#device.float32(this.#logits.cols))
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
