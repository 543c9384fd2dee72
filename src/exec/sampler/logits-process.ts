/**
 * `bz_logits_process` over the rows of a step: whether each row's logits are finite as the model gave them, then what
 * its request asks for (allowed ids, edits, penalties).
 *
 * All memory is allocated at the start. It holds what the largest single row needs; where the rows of a step need more
 * together, they go in several calls.
 */
import { STATUS } from "../../../ffi/abi.ts"
import { Args } from "../../../ffi/args.ts"
import { assert } from "../../base/assert.ts"
import type { RequestFailure, ScheduledRequest } from "../../core/schedule-plan.ts"
import type { Device, HostArray, Matrix } from "../../tensor/device.ts"
import { appendLogitEdits, hasLogitEdits, type LogitEdits } from "./logit-edits.ts"
import { TokenHistory } from "./token-history.ts"

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

/** Edits of one row beside those of its logit bias and its stop ids: bad words and a forced token. */
const MAX_OTHER_EDITS = 256

export interface LogitsProcessOptions {
  readonly maxRows: number
  readonly maxModelLen: number
}

export class LogitsProcess {
  readonly #device: Device
  readonly #logits: Matrix
  readonly #args: Args<"logitsProcess">
  readonly #status: HostArray<Int32Array>
  readonly #editStarts: HostArray<Int32Array>
  readonly #editIds: HostArray<Int32Array>
  readonly #editValues: HostArray<Float32Array>
  readonly #allowStarts: HostArray<Int32Array>
  readonly #allowIds: HostArray<Int32Array>
  readonly #history: TokenHistory
  /** The rows of the next call: [first, end). */
  #first = 0
  #end = 0
  #numEdits = 0
  #numAllowed = 0

  constructor(device: Device, logits: Matrix, { maxRows, maxModelLen }: LogitsProcessOptions) {
    this.#device = device
    this.#logits = logits
    this.#status = device.int32(maxRows)
    this.#editStarts = device.int32(maxRows + 1)
    this.#editIds = device.int32(maxEdits(logits.cols))
    this.#editValues = device.float32(maxEdits(logits.cols))
    this.#allowStarts = device.int32(maxRows + 1)
    this.#allowIds = device.int32(logits.cols)
    this.#history = new TokenHistory(device, { maxRows, maxTokens: maxModelLen })
    this.#args = new Args("logitsProcess", { vocab_size: logits.cols, logits_stride: logits.stride })
  }

  /** What the constructor allocates. */
  static bytes(vocabSize: number, { maxRows, maxModelLen }: LogitsProcessOptions): number {
    const own = 3 * maxRows + 2 + 2 * maxEdits(vocabSize) + vocabSize
    return 4 * own + TokenHistory.bytes({ maxRows, maxTokens: maxModelLen })
  }

  /** Row i of the logits belongs to `requests[i]`. Adds the requests whose rows failed to `failures`. */
  run(requests: readonly ScheduledRequest[], failures: Map<string, RequestFailure>): void {
    this.#begin(0)
    for (const [row, request] of requests.entries()) {
      const edits = editsOf(request)
      if (!this.#hasRoom(request, edits)) {
        this.#call()
        this.#begin(row)
      }
      this.#add(request, edits)
    }
    this.#call()
    requests.forEach(({ requestId }, row) => {
      const status = this.#status.data[row]
      if (status !== STATUS.ok) failures.set(requestId, status === STATUS.device ? NOT_FINITE : BAD_ID)
    })
  }

  #begin(first: number): void {
    this.#first = this.#end = first
    this.#numEdits = this.#numAllowed = 0
    this.#history.begin()
  }

  /** The first row of a call always fits. */
  #hasRoom({ sampling, tokenIds }: ScheduledRequest, edits: LogitEdits): boolean {
    return this.#end === this.#first || (
      this.#numEdits + edits.ids.length <= this.#editIds.data.length &&
      this.#numAllowed + (sampling.allowedTokenIds?.length ?? 0) <= this.#allowIds.data.length &&
      this.#history.hasRoom(tokenIds.length))
  }

  #add(request: ScheduledRequest, edits: LogitEdits): void {
    const allowed = request.sampling.allowedTokenIds ?? NO_IDS
    const isFitting = edits.ids.length <= this.#editIds.data.length && allowed.length <= this.#allowIds.data.length
    assert(isFitting, () => `${request.requestId}: ${edits.ids.length} edits, ${allowed.length} allowed ids`)
    const r = this.#end - this.#first
    this.#editIds.data.set(edits.ids, this.#numEdits)
    this.#editValues.data.set(edits.values, this.#numEdits)
    this.#allowIds.data.set(allowed, this.#numAllowed)
    this.#editStarts.data[r] = this.#numEdits
    this.#allowStarts.data[r] = this.#numAllowed
    this.#numEdits += edits.ids.length
    this.#numAllowed += allowed.length
    this.#editStarts.data[r + 1] = this.#numEdits
    this.#allowStarts.data[r + 1] = this.#numAllowed
    this.#history.add(request)
    this.#end += 1
  }

  #call(): void {
    const { address, stride } = this.#logits
    const [hasEdits, hasAllowed] = [this.#numEdits > 0, this.#numAllowed > 0]
    this.#device.stream.run("bz_logits_process", this.#args.set({
      num_requests: this.#end - this.#first,
      logits: address + this.#first * stride * 4,
      edit_start: hasEdits ? this.#editStarts.address : 0,
      edit_ids: hasEdits ? this.#editIds.address : 0,
      edit_values: hasEdits ? this.#editValues.address : 0,
      allow_start: hasAllowed ? this.#allowStarts.address : 0,
      allow_ids: hasAllowed ? this.#allowIds.address : 0,
      ...this.#history.fields(),
      row_status: this.#status.address + this.#first * 4,
    }))
  }
}

const NO_IDS: readonly number[] = []
const NO_EDITS: LogitEdits = { ids: [], values: [] }

function editsOf(request: ScheduledRequest): LogitEdits {
  if (!hasLogitEdits(request)) return NO_EDITS
  const edits: LogitEdits = { ids: [], values: [] }
  appendLogitEdits(request, edits)
  return edits
}

/** Of one row: a bias and a stop id for each token of the vocabulary, and the rest. */
function maxEdits(vocabSize: number): number {
  return 2 * vocabSize + MAX_OTHER_EDITS
}
