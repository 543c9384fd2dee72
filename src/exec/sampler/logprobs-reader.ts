import { Args } from "../../../ffi/args.ts"
import type { TokenLogprobs } from "../../core/schedule-plan.ts"
import { rowBytes, rowsFrom, type Device, type DeviceArray, type Matrix, type Staging } from "../../tensor/device.ts"
import { InputRing, type StepArray } from "../../tensor/step-arrays.ts"
import { readsProcessed, type LogprobsMode } from "../../core/logprobs-mode.ts"
import type { LogprobsOp, LogprobsPlace, LogprobsRow } from "./logprobs-op.ts"
import type { SampleRow } from "./sample-row.ts"

/** Log-probabilities of a step that are on their way to the host. */
export interface QueuedLogprobs {
  /** Null: nobody asked, or all of them are in `read` already. */
  readonly set: number | null
  readonly places: readonly QueuedRow[]
  /** By row of the step. */
  readonly read: Map<number, LogprobsRow>
}

interface QueuedRow {
  /** Of the step. */
  readonly index: number
  readonly place: LogprobsPlace
  /** Behind the place. */
  readonly i: number
  readonly numTop: number
  readonly chosen: ChosenLogits | null
}

/** The tokens that a row asks for in place of the likeliest, with their logits and the largest logit of the row. */
interface ChosenLogits {
  readonly ids: readonly number[]
  readonly logits: readonly number[]
  readonly largest: number
}

/**
 * Log-probabilities of the sampled tokens. In the raw modes from logits as the model gave them: rows that want them are
 * copied before anything changes the logits, and read once the tokens are drawn. In the processed modes from what the
 * tokens were drawn from, which the sampler leaves in `processed`.
 */
export class LogprobsReader {
  readonly #device: Device
  readonly #logits: Matrix
  readonly #op: LogprobsOp
  readonly #isProcessed: boolean
  readonly #ring: InputRing
  /** Rows of the slice that want log-probabilities, and their places side by side. */
  readonly #from: StepArray<Int32Array>
  readonly #to: StepArray<Int32Array>
  readonly #ids: DeviceArray
  readonly #hostRow: Staging
  /** One row for each row that wants it, or, processed, for every row of the slice. */
  readonly #kept: Matrix
  readonly #scatter: Args<"bz_scatter_ids">
  /** Rows of this slice that want log-probabilities. */
  #rows: number[] = []
  #places: QueuedRow[] = []
  #read = new Map<number, LogprobsRow>()

  constructor(device: Device, logits: Matrix, op: LogprobsOp, options: { maxRows: number; mode: LogprobsMode }) {
    const { maxRows, mode } = options
    this.#device = device
    this.#logits = logits
    this.#op = op
    this.#isProcessed = readsProcessed(mode)
    this.#ring = new InputRing(device)
    this.#from = this.#ring.int32(maxRows)
    this.#to = this.#ring.int32(maxRows)
    this.#ring.allocate()
    this.#ids = device.array("I32", maxRows)
    this.#hostRow = device.staging(logits.cols * 4)
    this.#kept = device.matrix(maxRows, logits.cols, "F32")
    this.#scatter = new Args("bz_scatter_ids", {
      num_src: maxRows, num_dst: maxRows, src_rows: this.#from.address(), dst_rows: this.#to.address(),
      dst: this.#ids.address,
    })
  }

  /** Before the logits of a slice of rows are changed. */
  keepRaw(slice: readonly SampleRow[]): void {
    this.#rows = []
    slice.forEach(({ request }, row) => {
      if (request.sampling.logprobs !== null) this.#rows.push(row)
    })
    if (this.#rows.length === 0 || this.#isProcessed) return
    this.#rows.forEach((row, i) => this.#copyRow(this.#logits, row, this.#kept, i))
  }

  /** Where the sampler has to leave what it draws from, or null: nobody wants it. */
  get processed(): Matrix | null {
    return this.#rows.length > 0 && this.#isProcessed ? this.#kept : null
  }

  /** After the draws of the slice, whose ids lie behind the device address `drawn`; it begins at row `first`. */
  queue(slice: readonly SampleRow[], first: number, drawn: number): void {
    if (this.#rows.length === 0) return
    this.#moveTogether(drawn)
    const wanted = this.#rows.map((row) => numTop(slice[row]!, this.#logits.cols))
    const k = Math.max(...wanted)
    for (let from = 0; from < this.#rows.length; ) {
      if (this.#op.room(k) === 0) this.#flush()
      const numRows = Math.min(this.#rows.length - from, this.#op.room(k))
      const place = this.#op.queue(rowsFrom(this.#kept, from), this.#ids.address + from * 4, { numRows, k })
      for (let i = 0; i < numRows; i++) {
        const row = this.#rows[from + i]!
        const ids = slice[row]!.request.sampling.logprobTokenIds
        const chosen = ids === null ? null : this.#readChosen(from + i, ids)
        this.#places.push({ index: first + row, place, i, numTop: wanted[from + i]!, chosen })
      }
      from += numRows
    }
  }

  /** Sends what the step has queued to the host. */
  finish(): QueuedLogprobs {
    const queued = {
      set: this.#places.length > 0 ? this.#op.download() : null, places: this.#places, read: this.#read,
    }
    this.#places = []
    this.#read = new Map()
    return queued
  }

  /** By row of the step. Waits. `tokenIds` are those that were drawn. */
  collect({ set, places, read }: QueuedLogprobs, tokenIds: ArrayLike<number>): Map<number, TokenLogprobs> {
    if (set !== null) this.#readPlaces(set, places, read)
    return new Map([...read].map(([index, row]) => [index, { tokenId: tokenIds[index]!, ...row }]))
  }

  /** There is no room for more results: those that are queued are read now. */
  #flush(): void {
    this.#readPlaces(this.#op.download(), this.#places, this.#read)
    this.#op.release()
    this.#places = []
  }

  #readPlaces(set: number, places: readonly QueuedRow[], read: Map<number, LogprobsRow>): void {
    this.#op.wait(set)
    for (const { index, place, i, numTop, chosen } of places) {
      const row = this.#op.read(set, place, i, numTop)
      read.set(index, chosen === null ? row : withChosen(row, chosen))
    }
  }

  /** Gets the wanted rows of logits and the ids that were drawn from them side by side. */
  #moveTogether(drawn: number): void {
    const rows = this.#rows
    if (this.#isProcessed) rows.forEach((row, i) => row !== i && this.#copyRow(this.#kept, row, this.#kept, i))
    this.#ring.begin()
    this.#from.set(rows)
    this.#to.set(rows.map((_, i) => i))
    this.#ring.upload()
    this.#device.stream.run("bz_scatter_ids", this.#scatter.set({ num_ids: rows.length, src: drawn }))
  }

  /** Waits for row i of what is kept. */
  #readChosen(i: number, ids: readonly number[]): ChosenLogits {
    const { stream } = this.#device
    const row = rowsFrom(this.#kept, i)
    stream.download(this.#hostRow.address, row.address, row.cols * 4)
    stream.synchronize()
    const logits = new Float32Array(this.#hostRow.buffer, 0, row.cols)
    let largest = -Infinity
    for (const logit of logits) if (logit > largest) largest = logit
    return { ids, logits: ids.map((id) => logits[id]!), largest }
  }

  #copyRow(from: Matrix, fromRow: number, to: Matrix, toRow: number): void {
    const [source, target] = [from.address + fromRow * rowBytes(from), to.address + toRow * rowBytes(to)]
    this.#device.stream.copy(target, source, from.cols * 4)
  }
}

/** What log-softmax took off the largest logit it takes off every logit. */
function withChosen(row: LogprobsRow, { ids, logits, largest }: ChosenLogits): LogprobsRow {
  const offset = largest - row.topLogprobs[0]!
  return { ...row, topIds: [...ids], topLogprobs: logits.map((logit) => Math.fround(logit - offset)) }
}

/** How many of the likeliest a row needs: one to find what log-softmax took off, where it names its tokens. */
function numTop({ request: { sampling } }: SampleRow, vocab: number): number {
  if (sampling.logprobTokenIds !== null) return 1
  const asked = sampling.logprobs ?? 0
  return asked === -1 ? vocab : Math.min(asked, vocab)
}
