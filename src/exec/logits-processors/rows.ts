/**
 * Runs the logits processors over the rows of a step. A request's rows are made when it is first sampled and dropped
 * when it leaves; no batch position is theirs, so nothing ever moves.
 *
 * A processor works on a copy of the logits: one that throws leaves the step as it was, and fails its request alone.
 */
import { STATUS } from "../../../ffi/abi.ts"
import type { RequestFailure, SchedulePlan, ScheduledRequest } from "../../core/schedule-plan.ts"
import { rowsFrom, type Device, type Matrix, type Staging } from "../../tensor/device.ts"
import type { SampleRow } from "../sampler/sample-row.ts"
import type { LogitsProcessor, LogitsRow } from "./interface.ts"

interface ProcessedRow {
  readonly processor: LogitsProcessor
  readonly row: LogitsRow
}

interface JoinedRequest {
  readonly rows: readonly ProcessedRow[]
  /** What the processors see as its tokens: they get an array, and the engine's own is not theirs to change. */
  readonly tokenIds: number[]
  /** Why one of them refused it. */
  readonly refusal: RequestFailure | null
}

const NO_ARGS = {}

export class LogitsProcessorRows {
  readonly #device: Device
  readonly #logits: Matrix
  readonly #processors: readonly LogitsProcessor[]
  readonly #requests = new Map<string, JoinedRequest>()
  readonly #copy: Staging
  readonly #statuses: Staging

  /** `maxRows`: of a slice. */
  constructor(device: Device, logits: Matrix, processors: readonly LogitsProcessor[], maxRows: number) {
    this.#device = device
    this.#logits = logits
    this.#processors = processors
    this.#copy = device.staging(logits.cols * 4)
    this.#statuses = device.staging(maxRows * 4)
  }

  /** Requests that hold rows. For tests. */
  get numRequests(): number {
    return this.#requests.size
  }

  /** Forgets the requests that have left. */
  leave({ finishedRequestIds, preemptedRequestIds }: SchedulePlan): void {
    if (this.#requests.size === 0) return
    for (const id of finishedRequestIds) this.#remove(id)
    for (const id of preemptedRequestIds) this.#remove(id)
  }

  /**
   * Row i of the logits belongs to row i of the slice. Passes over rows whose status, behind the device address
   * `statuses`, is not that all is well. Returns what goes wrong, by row. Waits.
   */
  apply(slice: readonly SampleRow[], statuses: number): Map<number, RequestFailure> {
    const failures = new Map<number, RequestFailure>()
    if (this.#processors.length === 0) return failures
    const { stream } = this.#device
    stream.download(this.#statuses.address, statuses, slice.length * 4)
    stream.synchronize()
    const status = new Int32Array(this.#statuses.buffer, 0, slice.length).slice()
    slice.forEach((row, r) => {
      const failure = status[r] === STATUS.ok ? this.#applyTo(row, r) : null
      if (failure !== null) failures.set(r, failure)
    })
    return failures
  }

  #applyTo({ request, tokenIds: prefix }: SampleRow, r: number): RequestFailure | null {
    const joined = this.#requests.get(request.requestId) ?? this.#join(request)
    const { rows, tokenIds, refusal } = joined
    if (refusal !== null || rows.length === 0) return refusal
    for (let i = tokenIds.length; i < prefix.length; i++) tokenIds.push(prefix.at(i)!)
    const { stream } = this.#device
    const { address, cols } = rowsFrom(this.#logits, r)
    stream.download(this.#copy.address, address, cols * 4)
    stream.synchronize()
    const logits = new Float32Array(this.#copy.buffer, 0, cols)
    const failure = applyRows(rows, logits)
    // Drafts are not its tokens yet.
    tokenIds.length = request.tokenIds.length
    if (failure !== null) return failure
    stream.upload(address, this.#copy.address, cols * 4)
    stream.synchronize()
    return null
  }

  #join(request: ScheduledRequest): JoinedRequest {
    const { requestId, numPromptTokens, sampling } = request
    const tokenIds = request.tokenIds.slice()
    const joining = {
      requestId, tokenIds, numPromptTokens, args: sampling.extraArgs ?? NO_ARGS, temperature: sampling.temperature,
    }
    const rows: ProcessedRow[] = []
    let refusal: RequestFailure | null = null
    for (const processor of this.#processors) {
      const error = attempt(() => {
        const row = processor.add(joining)
        if (row !== null) rows.push({ processor, row })
      })
      if (error === null) continue
      refusal = { message: `logits processor ${processor.name}: ${error}`, isCallersFault: true }
      break
    }
    const joined = { rows, tokenIds, refusal }
    this.#requests.set(requestId, joined)
    return joined
  }

  #remove(requestId: string): void {
    for (const { processor } of this.#requests.get(requestId)?.rows ?? []) attempt(() => processor.remove?.(requestId))
    this.#requests.delete(requestId)
  }
}

function applyRows(rows: readonly ProcessedRow[], logits: Float32Array): RequestFailure | null {
  for (const { processor, row } of rows) {
    const error = attempt(() => row.apply(logits)) ?? (logits.includes(NaN) ? "it wrote a NaN" : null)
    if (error !== null) return { message: `logits processor ${processor.name} failed: ${error}`, isCallersFault: false }
  }
  return null
}

/** What `action` threw, in words; null when it threw nothing. */
function attempt(action: () => void): string | null {
  try {
    action()
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
