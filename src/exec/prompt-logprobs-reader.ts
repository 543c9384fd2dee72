import type { ScheduledRequest, StepResult } from "../core/schedule-plan.ts"
import type { Device, Matrix } from "../tensor/device.ts"
import type { InputBatch } from "./input-batch.ts"
import { returnsLogits, type LogprobsMode } from "../core/logprobs-mode.ts"
import { LogprobsOp } from "./sampler/logprobs-op.ts"

/**
 * Log-probabilities of the prompt tokens that a plan asks for: the output head over the rows before them, as many at a
 * time as it takes. Nothing is sampled there, so raw and processed are the same.
 */
export class PromptLogprobsReader {
  readonly #batch: InputBatch
  readonly #logits: Matrix
  readonly #op: LogprobsOp
  readonly #runHead: (rows: ArrayLike<number>) => void

  /** `runHead` computes the logits of rows of the step. */
  constructor(
    device: Device, batch: InputBatch, logits: Matrix,
    options: { mode: LogprobsMode; runHead: (rows: ArrayLike<number>) => void },
  ) {
    const maxRows = batch.limits.maxSamples
    this.#batch = batch
    this.#logits = logits
    this.#runHead = options.runHead
    this.#op = new LogprobsOp(device, { vocabSize: logits.cols, maxRows, asLogits: returnsLogits(options.mode) })
  }

  /** Requires: the forward pass of `requests` has run, and nobody needs the logits that are there. */
  read(requests: readonly ScheduledRequest[], result: StepResult): void {
    requests.forEach((request, r) => {
      if (request.promptLogprobs !== null) this.#readRequest(request, r, result)
    })
  }

  #readRequest(request: ScheduledRequest, r: number, result: StepResult): void {
    const { first, end } = request.promptLogprobs!
    const numTop = Math.min(request.sampling.promptLogprobs ?? 0, this.#logits.cols)
    const entries = []
    for (let from = first; from < end; from += this.#batch.limits.maxSamples) {
      const tokenIds = request.tokenIds.slice(from, Math.min(end, from + this.#batch.limits.maxSamples))
      this.#runHead(tokenIds.map((_, i) => this.#batch.rowOf(r, request, from + i - 1)))
      entries.push(...this.#op.read(this.#logits, tokenIds, tokenIds.map(() => numTop)))
    }
    result.promptLogprobs.set(request.requestId, entries)
  }
}
