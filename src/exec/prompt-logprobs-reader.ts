import type { ScheduledRequest, StepResult, TokenLogprobs } from "../core/schedule-plan.ts"
import type { Device, HostArray, Matrix } from "../tensor/device.ts"
import type { InputBatch } from "./input-batch.ts"
import { FiniteRows } from "./finite-rows.ts"
import { NOT_FINITE } from "./sampler/logits-process.ts"
import type { LogprobsOp } from "./sampler/logprobs-op.ts"

/**
 * Receives the logits of a prompt as they are computed: row i of `rows` [n, V] foretells token `first` + i of the
 * request. The rows are overwritten after the call.
 */
export type PromptLogitsListener = (requestId: string, first: number, rows: Float32Array) => void

/**
 * Log-probabilities of the prompt tokens that a plan asks for: the output head over the rows before them, as many at a
 * time as it takes. Nothing is sampled there, so raw and processed are the same.
 */
export class PromptLogprobsReader {
  readonly #device: Device
  readonly #batch: InputBatch
  readonly #logits: Matrix
  readonly #op: LogprobsOp
  readonly #finite: FiniteRows
  readonly #runHead: (rows: ArrayLike<number>) => void
  /** A copy of `#logits` for a listener, made when the first one comes. */
  #hostLogits: HostArray<Float32Array> | null = null

  /** `runHead` computes the logits of rows of the step. */
  constructor(
    device: Device, batch: InputBatch, logits: Matrix,
    options: { op: LogprobsOp; runHead: (rows: ArrayLike<number>) => void },
  ) {
    this.#device = device
    this.#batch = batch
    this.#logits = logits
    this.#runHead = options.runHead
    this.#op = options.op
    this.#finite = new FiniteRows(device, logits, batch.limits.maxSamples)
  }

  /** What the constructor allocates. */
  static bytes(maxSamples: number): number {
    return FiniteRows.bytes(maxSamples)
  }

  /**
   * Adds to the entries and the failures of `result`; requests that have failed already are passed over.
   * Requires: the forward pass of `requests` has run, and nobody needs the logits that are there.
   */
  read(requests: readonly ScheduledRequest[], result: StepResult, listener: PromptLogitsListener | null): void {
    requests.forEach((request, r) => {
      if (request.promptLogprobs === null || result.failures?.has(request.requestId)) return
      const entries = this.#readRequest(request, r, listener)
      if (entries !== null) result.promptLogprobs.set(request.requestId, entries)
      else (result.failures ??= new Map()).set(request.requestId, NOT_FINITE)
    })
  }

  /** Null where the logits are not finite. */
  #readRequest(request: ScheduledRequest, r: number, listener: PromptLogitsListener | null): TokenLogprobs[] | null {
    const { first, end } = request.promptLogprobs!
    const numTop = Math.min(request.sampling.promptLogprobs ?? 0, this.#logits.cols)
    const entries: TokenLogprobs[] = []
    for (let from = first; from < end; from += this.#batch.limits.maxSamples) {
      const tokenIds = request.tokenIds.slice(from, Math.min(end, from + this.#batch.limits.maxSamples))
      this.#runHead(tokenIds.map((_, i) => this.#batch.rowOf(r, request, from + i - 1)))
      if (this.#finite.findOthers(tokenIds.length).length > 0) return null
      listener?.(request.requestId, from, this.#copyLogits(tokenIds.length))
      entries.push(...this.#op.read(this.#logits, tokenIds, tokenIds.map(() => numTop)))
    }
    return entries
  }

  /** [numRows, V] */
  #copyLogits(numRows: number): Float32Array {
    const { address, cols, stride } = this.#logits
    const host = (this.#hostLogits ??= this.#device.float32(this.#batch.limits.maxSamples * cols))
    for (let row = 0; row < numRows; row++)
      this.#device.stream.copy(host.address + row * cols * 4, address + row * stride * 4, cols * 4)
    return host.data.subarray(0, numRows * cols)
  }
}
