/**
 * `bz_logits_process` over rows of logits: whether each row's logits are finite as the model gave them, then what its
 * request asks for (masks, allowed ids, edits, penalties).
 *
 * All memory is allocated at the start. It holds what the largest single row needs; where the rows of a step need more
 * together, they go in several calls.
 */
import { STATUS } from "../../../ffi/abi.ts"
import { Args } from "../../../ffi/args.ts"
import { assert } from "../../base/assert.ts"
import type { RequestFailure } from "../../core/schedule-plan.ts"
import type { TokenMasks } from "../../core/token-masks.ts"
import { rowsFrom, type Device, type Matrix } from "../../tensor/device.ts"
import { InputRing, type StepArray } from "../../tensor/step-arrays.ts"
import { appendLogitEdits, hasLogitEdits, type LogitEdits } from "./logit-edits.ts"
import type { SampleRow } from "./sample-row.ts"
import { TokenHistory, usesPenalties } from "./token-history.ts"

/** Of the model, not of the request. Every request that computes with the same numbers fails alike. */
export const NOT_FINITE: RequestFailure = {
  message: "The model computed NaN or infinity for this request, so no token can be chosen.",
  isCallersFault: false,
  spoilsCache: true,
}
const BAD_ID: RequestFailure = {
  message: "The sampling parameters of this request name a token id outside the model's vocabulary.",
  isCallersFault: false,
}

/** What a status of `LogitsProcess.run` means for the request; null: nothing. */
export function failureOf(status: number): RequestFailure | null {
  if (status === STATUS.ok) return null
  return status === STATUS.numeric ? NOT_FINITE : BAD_ID
}

/** Edits of one row beside those of its logit bias and its stop ids: bad words and a forced token. */
const MAX_OTHER_EDITS = 256
const NO_MASK = -1

export interface LogitsProcessOptions {
  readonly maxRows: number
  readonly maxModelLen: number
}

export class LogitsProcess {
  readonly #device: Device
  readonly #logits: Matrix
  readonly #args: Args<"bz_logits_process">
  readonly #ring: InputRing
  readonly #masks: StepArray<Uint32Array>
  readonly #maskRows: StepArray<Int32Array>
  readonly #editStarts: StepArray<Int32Array>
  readonly #editIds: StepArray<Int32Array>
  readonly #editValues: StepArray<Float32Array>
  readonly #allowStarts: StepArray<Int32Array>
  readonly #allowIds: StepArray<Int32Array>
  readonly #history: TokenHistory
  readonly #maskWords: number
  /** The rows of the next call: [first, end). */
  #first = 0
  #end = 0
  #numMasks = 0
  #numEdits = 0
  #numAllowed = 0

  constructor(device: Device, logits: Matrix, { maxRows, maxModelLen }: LogitsProcessOptions) {
    const ring = new InputRing(device)
    this.#device = device
    this.#logits = logits
    this.#maskWords = Math.ceil(logits.cols / 32)
    this.#ring = ring
    this.#masks = ring.uint32(maxRows * this.#maskWords)
    this.#maskRows = ring.int32(maxRows)
    this.#editStarts = ring.int32(maxRows + 1)
    this.#editIds = ring.int32(maxEdits(logits.cols))
    this.#editValues = ring.float32(maxEdits(logits.cols))
    this.#allowStarts = ring.int32(maxRows + 1)
    this.#allowIds = ring.int32(logits.cols)
    this.#history = new TokenHistory(ring, { maxRows, maxTokens: maxModelLen })
    ring.allocate()
    this.#args = new Args("bz_logits_process", { logits })
  }

  /** Row i of the logits belongs to `rows[i]`, and gets the i-th status behind the device address `statuses`. */
  run(rows: readonly SampleRow[], masks: TokenMasks | null, statuses: number): void {
    // A step whose requests ask for nothing need not wait for the arrays of an earlier one.
    if (masks === null && !rows.some(asksForSomething)) return this.#check(rows.length, statuses)
    this.#begin(0)
    for (const [i, row] of rows.entries()) {
      const edits = editsOf(row)
      if (!this.#hasRoom(row, edits)) {
        this.#call(statuses)
        this.#begin(i)
      }
      this.#add(row, edits, masks?.maskOf(row.request.requestId, row.numDrafts) ?? null)
    }
    this.#call(statuses)
  }

  /** For the memory plan: a call of as many rows as there can be. */
  plan(numRows: number): void {
    this.#check(numRows, ANY_ADDRESS)
  }

  /** Whether the first rows of logits are finite, and nothing else. */
  #check(numRows: number, statuses: number): void {
    this.#device.stream.run("bz_logits_process", this.#args.set({
      ...NOTHING, num_requests: numRows, logits: this.#logits, row_status: statuses,
    }))
  }

  #begin(first: number): void {
    this.#ring.begin()
    this.#first = this.#end = first
    this.#numMasks = this.#numEdits = this.#numAllowed = 0
    this.#history.begin()
  }

  /** The first row of a call always fits. */
  #hasRoom(row: SampleRow, edits: LogitEdits): boolean {
    return this.#end === this.#first || (
      this.#numEdits + edits.ids.length <= this.#editIds.length &&
      this.#numAllowed + (row.request.sampling.allowedTokenIds?.length ?? 0) <= this.#allowIds.length &&
      this.#history.hasRoom(row))
  }

  #add(row: SampleRow, edits: LogitEdits, mask: Uint32Array | null): void {
    const { request } = row
    const allowed = request.sampling.allowedTokenIds ?? NO_IDS
    const isFitting = edits.ids.length <= this.#editIds.length && allowed.length <= this.#allowIds.length
    assert(isFitting, () => `${request.requestId}: ${edits.ids.length} edits, ${allowed.length} allowed ids`)
    const r = this.#end - this.#first
    this.#maskRows.data[r] = mask === null ? NO_MASK : this.#addMask(mask)
    this.#editIds.data.set(edits.ids, this.#numEdits)
    this.#editValues.data.set(edits.values, this.#numEdits)
    this.#allowIds.data.set(allowed, this.#numAllowed)
    this.#editStarts.data[r] = this.#numEdits
    this.#allowStarts.data[r] = this.#numAllowed
    this.#numEdits += edits.ids.length
    this.#numAllowed += allowed.length
    this.#editStarts.data[r + 1] = this.#numEdits
    this.#allowStarts.data[r + 1] = this.#numAllowed
    this.#history.add(row)
    this.#end += 1
  }

  #addMask(mask: Uint32Array): number {
    assert(mask.length === this.#maskWords, () => `a mask of ${mask.length} words, not ${this.#maskWords}`)
    this.#masks.data.set(mask, this.#numMasks * this.#maskWords)
    return this.#numMasks++
  }

  #call(statuses: number): void {
    const numRows = this.#end - this.#first
    const [hasMasks, hasEdits, hasAllowed] = [this.#numMasks > 0, this.#numEdits > 0, this.#numAllowed > 0]
    this.#masks.used = this.#numMasks * this.#maskWords
    this.#maskRows.used = hasMasks ? numRows : 0
    this.#editStarts.used = hasEdits ? numRows + 1 : 0
    this.#editIds.used = this.#editValues.used = this.#numEdits
    this.#allowStarts.used = hasAllowed ? numRows + 1 : 0
    this.#allowIds.used = this.#numAllowed
    this.#args.set({
      num_requests: numRows, logits: rowsFrom(this.#logits, this.#first),
      bitmask: hasMasks ? this.#masks.address() : 0, bitmask_row: hasMasks ? this.#maskRows.address() : 0,
      edit_start: hasEdits ? this.#editStarts.address() : 0, edit_ids: hasEdits ? this.#editIds.address() : 0,
      edit_values: hasEdits ? this.#editValues.address() : 0,
      allow_start: hasAllowed ? this.#allowStarts.address() : 0,
      allow_ids: hasAllowed ? this.#allowIds.address() : 0,
      ...this.#history.fields(),
      row_status: statuses + this.#first * 4,
    })
    this.#ring.upload()
    this.#device.stream.run("bz_logits_process", this.#args)
  }
}

const NOTHING = {
  bitmask: 0, bitmask_row: 0, allow_start: 0, allow_ids: 0, edit_start: 0, edit_ids: 0, edit_values: 0, token_ids: 0,
  repetition: 0, frequency: 0, presence: 0,
}
const ANY_ADDRESS = 64
const NO_IDS: readonly number[] = []
const NO_EDITS: LogitEdits = { ids: [], values: [] }

function asksForSomething(row: SampleRow): boolean {
  return hasLogitEdits(row) || row.request.sampling.allowedTokenIds !== null || usesPenalties(row.request)
}

function editsOf(row: SampleRow): LogitEdits {
  if (!hasLogitEdits(row)) return NO_EDITS
  const edits: LogitEdits = { ids: [], values: [] }
  appendLogitEdits(row, edits)
  return edits
}

/** Of one row: a bias and a stop id for each token of the vocabulary, and the rest. */
function maxEdits(vocabSize: number): number {
  return 2 * vocabSize + MAX_OTHER_EDITS
}
