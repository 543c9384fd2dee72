/**
 * Runs the logits processors over the rows of a step. A request's rows are made when it is first sampled and dropped
 * when it leaves; no batch position is theirs, so nothing ever moves.
 *
 * A processor works on a copy of the logits: one that throws leaves the step as it was, and fails its request alone.
 */
import type { RequestFailure, SchedulePlan, ScheduledRequest } from "../../core/schedule-plan.ts"
import type { Device, HostArray, Matrix } from "../../tensor/device.ts"
import type { LogitsProcessor, LogitsRow } from "./interface.ts"

interface ProcessedRow {
  readonly processor: LogitsProcessor
  readonly row: LogitsRow
}

const NO_ARGS = {}
const NO_FAILURES: ReadonlyMap<string, RequestFailure> = new Map()

export class LogitsProcessorRows {
  readonly #device: Device
  readonly #logits: Matrix
  readonly #processors: readonly LogitsProcessor[]
  readonly #rows = new Map<string, readonly ProcessedRow[]>()
  #copy: HostArray<Float32Array> | null = null

  constructor(device: Device, logits: Matrix, processors: readonly LogitsProcessor[]) {
    this.#device = device
    this.#logits = logits
    this.#processors = processors
  }

  /** Requests that hold rows. For tests. */
  get numRequests(): number {
    return this.#rows.size
  }

  /** Forgets the requests that have left. */
  leave({ finishedRequestIds, preemptedRequestIds }: SchedulePlan): void {
    if (this.#rows.size === 0) return
    for (const id of finishedRequestIds) this.#remove(id)
    for (const id of preemptedRequestIds) this.#remove(id)
  }

  /** Row i of the logits belongs to `requests[i]`. Returns what went wrong, by request id. */
  apply(requests: readonly ScheduledRequest[]): ReadonlyMap<string, RequestFailure> {
    if (this.#processors.length === 0) return NO_FAILURES
    const failures = new Map<string, RequestFailure>()
    requests.forEach((request, r) => {
      const failure = this.#applyTo(request, r)
      if (failure !== null) failures.set(request.requestId, failure)
    })
    return failures
  }

  #applyTo(request: ScheduledRequest, r: number): RequestFailure | null {
    const rows = this.#rows.get(request.requestId) ?? this.#join(request)
    if (!Array.isArray(rows)) return rows as RequestFailure
    if (rows.length === 0) return null
    const bytes = this.#logits.cols * 4
    const address = this.#logits.address + r * this.#logits.stride * 4
    const copy = (this.#copy ??= this.#device.float32(this.#logits.cols))
    this.#device.stream.copy(copy.address, address, bytes)
    for (const { processor, row } of rows as readonly ProcessedRow[]) {
      const error = attempt(() => row.apply(copy.data)) ?? (copy.data.includes(NaN) ? "it wrote a NaN" : null)
      const message = `logits processor ${processor.name} failed: ${error}`
      if (error !== null) return { message, isCallersFault: false }
    }
    this.#device.stream.copy(address, copy.address, bytes)
    return null
  }

  #join(request: ScheduledRequest): readonly ProcessedRow[] | RequestFailure {
    const { requestId, tokenIds, numPromptTokens, sampling } = request
    const joining = {
      requestId, tokenIds, numPromptTokens, args: sampling.extraArgs ?? NO_ARGS, temperature: sampling.temperature,
    }
    const rows: ProcessedRow[] = []
    this.#rows.set(requestId, rows)
    for (const processor of this.#processors) {
      const error = attempt(() => {
        const row = processor.add(joining)
        if (row !== null) rows.push({ processor, row })
      })
      if (error !== null) return { message: `logits processor ${processor.name}: ${error}`, isCallersFault: true }
    }
    return rows
  }

  #remove(requestId: string): void {
    for (const { processor } of this.#rows.get(requestId) ?? []) attempt(() => processor.remove?.(requestId))
    this.#rows.delete(requestId)
  }
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
