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
  readonly #copy: HostArray<Float32Array>

  constructor(device: Device, logits: Matrix, processors: readonly LogitsProcessor[]) {
    this.#device = device
    this.#logits = logits
    this.#processors = processors
    this.#copy = device.float32(logits.cols)
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

  /** Row i of the logits belongs to `requests[i]`. Adds what goes wrong to `failures`, and passes over who is there. */
  apply(requests: readonly ScheduledRequest[], failures: Map<string, RequestFailure>): void {
    if (this.#processors.length === 0) return
    requests.forEach((request, r) => {
      if (failures.has(request.requestId)) return
      const failure = this.#applyTo(request, r)
      if (failure !== null) failures.set(request.requestId, failure)
    })
  }

  #applyTo(request: ScheduledRequest, r: number): RequestFailure | null {
    const { rows, tokenIds, refusal } = this.#requests.get(request.requestId) ?? this.#join(request)
    if (refusal !== null || rows.length === 0) return refusal
    for (let i = tokenIds.length; i < request.tokenIds.length; i++) tokenIds.push(request.tokenIds.at(i)!)
    const bytes = this.#logits.cols * 4
    const address = this.#logits.address + r * this.#logits.stride * 4
    const copy = this.#copy
    this.#device.stream.copy(copy.address, address, bytes)
    for (const { processor, row } of rows) {
      const error = attempt(() => row.apply(copy.data)) ?? (copy.data.includes(NaN) ? "it wrote a NaN" : null)
      const message = `logits processor ${processor.name} failed: ${error}`
      if (error !== null) return { message, isCallersFault: false }
    }
    this.#device.stream.copy(address, copy.address, bytes)
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

/** What `action` threw, in words; null when it threw nothing. */
function attempt(action: () => void): string | null {
  try {
    action()
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
