import type { ScheduledRequest, StepResult, TokenLogprobs } from "../core/schedule-plan.ts"
import type { Device, Matrix } from "../tensor/device.ts"
import type { InputBatch } from "./input-batch.ts"
import { FiniteRows } from "./finite-rows.ts"
import { NOT_FINITE } from "./sampler/logits-process.ts"
import type { LogprobsOp } from "./sampler/logprobs-op.ts"

/**
 * Log-probabilities of the prompt tokens that a plan asks for: the output head over the rows before them, as many at a
 * time as it takes. Nothing is sampled there, so raw and processed are the same.
 */
export class PromptLogprobsReader {
  readonly #batch: InputBatch
  readonly #logits: Matrix
  readonly #op: LogprobsOp
  readonly #finite: FiniteRows
  readonly #runHead: (rows: ArrayLike<number>) => void

  /** `runHead` computes the logits of rows of the step. */
  constructor(
    device: Device, batch: InputBatch, logits: Matrix,
    options: { op: LogprobsOp; runHead: (rows: ArrayLike<number>) => void },
  ) {
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
  read(requests: readonly ScheduledRequest[], result: StepResult): void {
    requests.forEach((request, r) => {
      if (request.promptLogprobs === null || result.failures?.has(request.requestId)) return
      const entries = this.#readRequest(request, r)
      if (entries !== null) result.promptLogprobs.set(request.requestId, entries)
      else (result.failures ??= new Map()).set(request.requestId, NOT_FINITE)
    })
  }

  /** Null where the logits are not finite. */
  #readRequest(request: ScheduledRequest, r: number): TokenLogprobs[] | null {
    const { first, end } = request.promptLogprobs!
    const numTop = Math.min(request.sampling.promptLogprobs ?? 0, this.#logits.cols)
    const entries: TokenLogprobs[] = []
    for (let from = first; from < end; from += this.#batch.limits.maxSamples) {
      const tokenIds = request.tokenIds.slice(from, Math.min(end, from + this.#batch.limits.maxSamples))
      this.#runHead(tokenIds.map((_, i) => this.#batch.rowOf(r, request, from + i - 1)))
      if (this.#finite.findOthers(tokenIds.length).length > 0) return null
      entries.push(...this.#op.read(this.#logits, tokenIds, tokenIds.map(() => numTop)))
    }
    return entries
  }
}
