import type { SchedulePlan, ScheduledRequest, StepResult } from "../core/schedule-plan.ts"
import type { GraphBuilder } from "../model/graph-builder.ts"
import type { Device, Matrix } from "../tensor/device.ts"
import { InputBatch, type BatchLimits } from "./input-batch.ts"
import type { LogitsProcessor } from "./logits-processors/interface.ts"
import { PromptLogprobsReader, type PromptLogitsListener } from "./prompt-logprobs-reader.ts"
import type { LogprobsMode } from "../core/logprobs-mode.ts"
import { Sampler } from "./sampler/sampler.ts"

/**
 * Turns a schedule plan into device work: gather inputs, forward, output head over the rows that are sampled, sample.
 *
 * It keeps no state of its own between steps: the plan's live views hold tokens and block tables, the KV cache the
 * rest. Only logits processors, which are not ours, may keep something for a request.
 * Errors: `NativeError`, after which the device must not be used again.
 */
export class ModelRunner {
  readonly #device: Device
  readonly #builder: GraphBuilder
  readonly #batch: InputBatch
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
    this.#sampler = new Sampler(device, logits, { ...limits, logprobsMode: mode, logitsProcessors })
    const runHead = (rows: ArrayLike<number>) => this.#runHead(rows)
    this.#promptLogprobs = new PromptLogprobsReader(device, batch, logits, { mode, runHead })
  }

  execute(plan: SchedulePlan, promptLogits: PromptLogitsListener | null = null): StepResult {
    const result: StepResult = { sampledTokenIds: new Map(), logprobs: new Map(), promptLogprobs: new Map() }
    this.#sampler.leave(plan)
    if (plan.requests.length === 0) return result
    const sampleRows = this.#batch.fill(plan.requests)
    const { numTokens, numRequests } = this.#batch
    const stream = this.#device.stream
    const counts = { tokens: numTokens, requests: numRequests, samples: sampleRows.length }
    // Decode steps (one token a request) come again and again with the same counts: those are worth a recording.
    if (numTokens === numRequests) this.#builder.body.replay(stream, counts)
    else this.#builder.body.run(stream, counts)
    this.#promptLogprobs.read(plan.requests, result, promptLogits)
    this.#sampleAll(plan.requests.filter((request) => request.samples), sampleRows, result)
    return result
  }

  dispose(): void {
    this.#builder.body.dispose(this.#device.stream)
    this.#builder.head.dispose(this.#device.stream)
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
