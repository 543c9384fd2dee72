import type { SchedulePlan, ScheduledRequest, StepResult } from "../core/schedule-plan.ts"
import type { GraphBuilder } from "../model/graph-builder.ts"
import type { Device, Matrix } from "../tensor/device.ts"
import { InputBatch, type BatchLimits } from "./input-batch.ts"
import { FiniteRows } from "./finite-rows.ts"
import type { LogitsProcessor } from "./logits-processors/interface.ts"
import { PromptLogprobsReader, type PromptLogitsListener } from "./prompt-logprobs-reader.ts"
import { returnsLogits, type LogprobsMode } from "../core/logprobs-mode.ts"
import { NOT_FINITE } from "./sampler/logits-process.ts"
import { LogprobsOp } from "./sampler/logprobs-op.ts"
import { Sampler } from "./sampler/sampler.ts"

/**
 * Turns a schedule plan into device work: gather inputs, forward, output head over the rows that are sampled, sample.
 *
 * It keeps no state of its own between steps: the plan's live views hold tokens and block tables, the KV cache the
 * rest. Only logits processors, which are not ours, may keep something for a request.
 *
 * Whatever is not finite is found in the step that computes it, be it sampled from or not: so nothing that a step has
 * left in the KV cache is read by a later one unless it is finite. It fails the requests whose tokens it is of.
 * Errors: `NativeError`, after which the device must not be used again.
 */
export class ModelRunner {
  readonly #device: Device
  readonly #builder: GraphBuilder
  readonly #batch: InputBatch
  readonly #finite: FiniteRows
  readonly #sampler: Sampler
  readonly #promptLogprobs: PromptLogprobsReader

  constructor(
    device: Device, builder: GraphBuilder, batch: InputBatch, logits: Matrix,
    options: { limits: BatchLimits; logprobsMode: LogprobsMode; logitsProcessors: readonly LogitsProcessor[] },
  ) {
    const { limits, logprobsMode: mode, logitsProcessors } = options
    this.#device = device
    this.#builder = builder
    this.#batch = batch
    this.#finite = new FiniteRows(device, builder.hidden, limits.maxTokens)
    const asLogits = returnsLogits(mode)
    const op = new LogprobsOp(device, { vocabSize: logits.cols, maxRows: limits.maxSamples, asLogits })
    this.#sampler = new Sampler(device, logits, op, { ...limits, logprobsMode: mode, logitsProcessors })
    const runHead = (rows: ArrayLike<number>) => this.#runHead(rows)
    this.#promptLogprobs = new PromptLogprobsReader(device, batch, logits, { op, runHead })
  }

  /** What the constructor allocates. */
  static bytes(vocabSize: number, limits: Pick<BatchLimits, "maxTokens" | "maxSamples" | "maxModelLen">): number {
    const { maxTokens, maxSamples } = limits
    return FiniteRows.bytes(maxTokens) + LogprobsOp.bytes({ vocabSize, maxRows: maxSamples }) +
      Sampler.bytes(vocabSize, limits) + PromptLogprobsReader.bytes(maxSamples)
  }

  execute(plan: SchedulePlan, promptLogits: PromptLogitsListener | null = null): StepResult {
    const result: StepResult = { sampledTokenIds: new Map(), logprobs: new Map(), promptLogprobs: new Map() }
    this.#sampler.leave(plan)
    if (plan.requests.length === 0) return result
    const rows = this.#batch.fill(plan.requests)
    const { numTokens, numRequests } = this.#batch
    const stream = this.#device.stream
    const counts = { tokens: numTokens, requests: numRequests, samples: rows.length }
    // Decode steps (one token a request) come again and again with the same counts: those are worth a recording.
    if (numTokens === numRequests) this.#builder.body.replay(stream, counts)
    else this.#builder.body.run(stream, counts)
    this.#findFailures(plan.requests, result)
    this.#promptLogprobs.read(plan.requests, result, promptLogits)
    const sampling = plan.requests.filter((request) => request.samples)
    const isSound = (request: ScheduledRequest) => !result.failures?.has(request.requestId)
    this.#sampleAll(sampling.filter(isSound), rows.filter((_, i) => isSound(sampling[i]!)), result)
    return result
  }

  dispose(): void {
    this.#builder.body.dispose(this.#device.stream)
    this.#builder.head.dispose(this.#device.stream)
  }

  /** The requests of which a computed token is not finite. */
  #findFailures(requests: readonly ScheduledRequest[], result: StepResult): void {
    for (const row of this.#finite.findOthers(this.#batch.numTokens)) {
      const { requestId } = requests[this.#batch.requestOf(row)]!
      ;(result.failures ??= new Map()).set(requestId, NOT_FINITE)
    }
  }

  /** The output head and the sampler take a limited number of rows at a time: logits are large. */
  #sampleAll(requests: readonly ScheduledRequest[], rows: Int32Array, result: StepResult): void {
    const slice = this.#batch.limits.maxSamples
    for (let from = 0; from < requests.length; from += slice) {
      const part = requests.slice(from, from + slice)
      this.#runHead(rows.subarray(from, from + part.length))
      const { tokenIds, logprobs, failures } = this.#sampler.sample(part)
      for (const [id, failure] of failures) (result.failures ??= new Map()).set(id, failure)
      part.forEach((request, i) => {
        if (failures.has(request.requestId)) return
        result.sampledTokenIds.set(request.requestId, [tokenIds[i]!])
        const entry = logprobs[i]
        if (entry) result.logprobs.set(request.requestId, [entry])
      })
    }
  }

  /** The logits of rows of the step. */
  #runHead(rows: ArrayLike<number>): void {
    this.#batch.inputs.sampleRows.data.set(rows)
    const count = rows.length
    this.#builder.head.replay(this.#device.stream, { tokens: count, requests: count, samples: count })
    this.#device.stream.synchronize()
  }
}
