import { LOGPROBS_MODE } from "../../../ffi/abi.ts"
import { Args } from "../../../ffi/args.ts"
import { assert } from "../../base/assert.ts"
import { rowsFrom, type Device, type Matrix } from "../../tensor/device.ts"
import { OutputRing, type StepArray } from "../../tensor/step-arrays.ts"

export interface LogprobsOptions {
  readonly vocabSize: number
  /** Rows whose results are held at a time. */
  readonly maxRows: number
  /** The logits themselves instead of their log-softmax. */
  readonly asLogits: boolean
}

/** Where the results of one row lie. */
export interface LogprobsPlace {
  readonly row: number
  readonly top: number
  readonly k: number
}

/** Of one row: its chosen token's, and the first `k` by descending log-probability. */
export interface LogprobsRow {
  readonly logprob: number
  readonly rank: number
  readonly topIds: number[]
  readonly topLogprobs: number[]
}

/**
 * Log-softmax of logits, read at one token a row and at the likeliest. Calls are queued one behind the other until
 * their results are downloaded. All memory is allocated at the start: there is room for the usual number of likeliest
 * tokens in every row, or for the whole vocabulary in one.
 */
export class LogprobsOp {
  readonly #device: Device
  readonly #ring: OutputRing
  readonly #args: Args<"bz_logprobs">
  readonly #logprob: StepArray<Float32Array>
  readonly #rank: StepArray<Int32Array>
  readonly #topIds: StepArray<Int32Array>
  readonly #topLogprobs: StepArray<Float32Array>
  #numRows = 0
  #numTop = 0

  constructor(device: Device, { vocabSize, maxRows, asLogits }: LogprobsOptions) {
    const ring = new OutputRing(device)
    const maxTop = Math.max(vocabSize, maxRows * Math.min(vocabSize, USUAL_TOP))
    this.#device = device
    this.#ring = ring
    this.#logprob = ring.float32(maxRows)
    this.#rank = ring.int32(maxRows)
    this.#topIds = ring.int32(maxTop)
    this.#topLogprobs = ring.float32(maxTop)
    ring.allocate()
    this.#args = new Args("bz_logprobs", { mode: asLogits ? LOGPROBS_MODE.logits : LOGPROBS_MODE.logSoftmax })
  }

  /** Rows with `k` likeliest tokens each that there is room for behind those that are queued. */
  room(k: number): number {
    const rows = this.#logprob.length - this.#numRows
    return k === 0 ? rows : Math.min(rows, Math.floor((this.#topIds.length - this.#numTop) / k))
  }

  /**
   * Row i of `logits` is read at the i-th id behind the device address `ids`, and at its `k` largest. Requires: room.
   * Returns the place of the first row; the next ones follow it.
   */
  queue(logits: Matrix, ids: number, { numRows, k }: { numRows: number; k: number }): LogprobsPlace {
    assert(numRows <= this.room(k), () => `no room for ${numRows} rows with ${k} tokens each`)
    const place = { row: this.#numRows, top: this.#numTop, k }
    this.#device.stream.run("bz_logprobs", this.#args.set({
      num_requests: numRows, num_top: k, logits, ids,
      out_logprob: this.#logprob.address(place.row), out_rank: this.#rank.address(place.row),
      out_top_ids: this.#topIds.address(place.top), out_top_logprobs: this.#topLogprobs.address(place.top),
    }))
    this.#numRows += numRows
    this.#numTop += numRows * k
    return place
  }

  /** Sends what is queued to the host. Returns what `read` takes; valid until the next download but one. */
  download(): number {
    this.#logprob.used = this.#rank.used = this.#numRows
    this.#topIds.used = this.#topLogprobs.used = this.#numTop
    this.#numRows = this.#numTop = 0
    return this.#ring.download()
  }

  wait(set: number): void {
    this.#ring.wait(set)
  }

  /** The last download has been read: the next one leaves the download before it as it is. */
  release(): void {
    this.#ring.release()
  }

  /** Row i behind `place`, with its `count` likeliest. Requires: `set` was waited for. */
  read(set: number, place: LogprobsPlace, i: number, count: number): LogprobsRow {
    const [row, top] = [place.row + i, place.top + i * place.k]
    return {
      logprob: this.#logprob.view(set)[row]!, rank: this.#rank.view(set)[row]!,
      topIds: Array.from(this.#topIds.view(set).subarray(top, top + count)),
      topLogprobs: Array.from(this.#topLogprobs.view(set).subarray(top, top + count)),
    }
  }

  /** For the memory plan. */
  plan(logits: Matrix, numRows: number): void {
    this.queue(rowsFrom(logits, 0), logits.address, { numRows, k: Math.min(logits.cols, USUAL_TOP) })
    this.#numRows = this.#numTop = 0
  }
}

/** What a row asks for at most unless the operator allows more. */
const USUAL_TOP = 20
