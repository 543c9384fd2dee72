import type { SchedulePlan, ScheduledRequest, StepResult } from "../core/schedule-plan.ts"
import type { TokenMasks } from "../core/token-masks.ts"
import { returnsLogits, type LogprobsMode } from "../core/logprobs-mode.ts"
import type { BuiltModel } from "../model/model-builder.ts"
import type { Device } from "../tensor/device.ts"
import type { Program } from "../tensor/program.ts"
import { CarriedTokens } from "./carried-tokens.ts"
import type { InputBatch } from "./input-batch.ts"
import { FiniteRows, type FiniteCheck } from "./finite-rows.ts"
import type { LogitsProcessor } from "./logits-processors/interface.ts"
import { PromptLogprobsReader, type PromptLogitsListener } from "./prompt-logprobs-reader.ts"
import { NOT_FINITE } from "./sampler/logits-process.ts"
import { LogprobsOp } from "./sampler/logprobs-op.ts"
import { acceptedTokens, pushSampleRows, type SampleRow } from "./sampler/sample-row.ts"
import { Sampler, type SampledRows } from "./sampler/sampler.ts"

/** A step between `submit` and `collect`. */
export interface RunningStep {
  readonly plan: SchedulePlan
  /** Null: nothing is computed. */
  readonly finite: FiniteCheck | null
  readonly rows: readonly SampleRow[]
  sampled: SampledRows | null
  readonly result: StepResult
}

/**
 * Turns a schedule plan into device work: gather inputs, forward, output head over the rows that are sampled, sample.
 *
 * A step is submitted, then sampled, then collected; two may be between `submit` and `collect`, where each is sampled
 * before the next is submitted. It keeps no state of its own between steps: the plan's live views hold tokens and block
 * tables, the KV cache the rest. Only logits processors, which are not ours, may keep something for a request.
 *
 * Whatever is not finite is found in the step that computes it, be it sampled from or not: so nothing that a step has
 * left in the KV cache is read by a later one unless it is finite. It fails the requests whose tokens it is of.
 * Errors: `NativeError`, after which the device must not be used again.
 */
export class ModelRunner {
  readonly #device: Device
  readonly #model: BuiltModel
  readonly #body: Program
  readonly #head: Program
  readonly #batch: InputBatch
  readonly #finite: FiniteRows
  readonly #logprobsOp: LogprobsOp
  readonly #sampler: Sampler
  readonly #carried: CarriedTokens
  readonly #promptLogprobsOp: LogprobsOp
  readonly #promptLogprobs: PromptLogprobsReader

  constructor(
    device: Device, model: BuiltModel, batch: InputBatch,
    options: { logprobsMode: LogprobsMode; logitsProcessors: readonly LogitsProcessor[] },
  ) {
    const { logprobsMode: mode, logitsProcessors } = options
    const { maxTokens, maxSamples, maxSampleRows, maxModelLen } = batch.limits
    const { hidden, logits } = model
    const op = { vocabSize: logits.cols, asLogits: returnsLogits(mode) }
    const runHead = (rows: number, count: number) => this.#runHead(rows, count)
    this.#device = device
    this.#model = model
    this.#body = model.program("body")
    this.#head = model.program("head")
    this.#batch = batch
    this.#finite = new FiniteRows(device, hidden, maxTokens)
    this.#logprobsOp = new LogprobsOp(device, { ...op, maxRows: maxSampleRows })
    this.#sampler = new Sampler(device, logits, this.#logprobsOp, {
      maxSamples, maxSampleRows, maxModelLen, logprobsMode: mode, logitsProcessors, runHead,
    })
    this.#carried = new CarriedTokens(device, batch, this.#sampler.drawn)
    this.#promptLogprobsOp = new LogprobsOp(device, { ...op, maxRows: maxSamples })
    this.#promptLogprobs = new PromptLogprobsReader(device, batch, logits, { op: this.#promptLogprobsOp, runHead })
  }

  /** Gives the forward pass to the device. Errors: see above. */
  submit(plan: SchedulePlan): RunningStep {
    const result: StepResult = { sampledTokenIds: new Map(), logprobs: new Map(), promptLogprobs: new Map() }
    this.#sampler.leave(plan)
    const { requests } = plan
    if (requests.length === 0) return { plan, finite: null, rows: [], sampled: null, result }
    // Decode steps (one token a request) come again and again with the same counts: those are worth a recording.
    const isDecode = plan.totalNumScheduledTokens === requests.length
    this.#batch.fill(requests, isDecode ? this.#padded(requests.length, this.#batch.limits.maxRequests) : 0)
    this.#carried.carry(requests, this.#batch)
    const { numTokens, numRequests } = this.#batch
    const rows: SampleRow[] = []
    requests.forEach((request, r) => {
      if (request.samples) pushSampleRows(rows, request, this.#batch.lastRowOf(r))
    })
    const counts = { tokens: numTokens, requests: numRequests, samples: 0 }
    if (isDecode) {
      const padded = this.#padded(numRequests, this.#batch.limits.maxRequests)
      this.#body.replay(this.#device.stream, { tokens: padded, requests: padded, samples: 0 })
    } else {
      this.#body.run(this.#device.stream, counts)
    }
    return { plan, finite: this.#finite.check(numTokens), rows, sampled: null, result }
  }

  /** Gives the output head and the sampler to the device. To be called once for each step, in their order. */
  sample(step: RunningStep, masks: TokenMasks | null = null, promptLogits: PromptLogitsListener | null = null): void {
    const { requests } = step.plan
    if (step.rows.length > 0) {
      step.sampled = this.#sampler.sample(step.rows, masks)
      this.#carried.remember(step.rows)
    }
    if (step.finite === null || !requests.some(({ promptLogprobs }) => promptLogprobs !== null)) return
    this.#findFailures(step)
    this.#promptLogprobs.read(requests, step.result, promptLogits)
  }

  /** Waits for the step. To be called once, in the order of the steps. */
  collect(step: RunningStep): StepResult {
    this.#findFailures(step)
    const { result, sampled } = step
    if (sampled === null) return result
    const { tokenIds, logprobs, failures } = this.#sampler.collect(sampled)
    const { rows } = sampled
    for (let first = 0, end; first < rows.length; first = end) {
      const { request } = rows[first]!
      end = first + request.draftTokenIds.length + 1
      if (result.failures?.has(request.requestId)) continue
      const accepted = acceptedTokens(Array.from(tokenIds.subarray(first, end)), request.draftTokenIds)
      const drawn = accepted.map((_, i) => first + i)
      const failed = drawn.find((row) => failures.has(row))
      if (failed !== undefined) {
        this.#fail(result, request, failures.get(failed)!)
        continue
      }
      result.sampledTokenIds.set(request.requestId, accepted)
      const entries = drawn.flatMap((row) => logprobs.get(row) ?? [])
      if (entries.length > 0) result.logprobs.set(request.requestId, entries)
    }
    return result
  }

  /**
   * For the memory plan: gives every op to a stream that plans, with as many rows as there can be, and with the counts
   * at which libraries change to another way of computing.
   */
  plan(): void {
    const { maxTokens, maxRequests, maxSamples } = this.#batch.limits
    const { stream } = this.#device
    for (let rows = 1; ; rows *= 2) {
      const tokens = Math.min(rows, maxTokens)
      this.#body.run(stream, { tokens, requests: Math.min(rows, maxRequests), samples: 0 })
      const samples = Math.min(rows, maxSamples)
      this.#head.run(stream, { tokens: samples, requests: samples, samples })
      if (rows >= maxTokens && rows >= maxRequests) break
    }
    this.#sampler.plan()
    this.#logprobsOp.plan(this.#model.logits, maxSamples)
    this.#promptLogprobsOp.plan(this.#model.logits, maxSamples)
  }

  dispose(): void {
    this.#body.dispose(this.#device.stream)
    this.#head.dispose(this.#device.stream)
  }

  /** Requests of which a computed token is not finite. */
  #findFailures({ plan, finite, result }: RunningStep): void {
    if (finite === null) return
    const rows = this.#finite.findOthers(finite)
    if (rows.length === 0) return
    let end = 0
    for (const request of plan.requests) {
      const first = end
      end += request.numScheduledTokens
      if (rows.some((row) => row >= first && row < end)) this.#fail(result, request, NOT_FINITE)
    }
  }

  #fail(result: StepResult, { requestId }: ScheduledRequest, failure: typeof NOT_FINITE): void {
    (result.failures ??= new Map()).set(requestId, failure)
  }

  /** The logits of `count` rows of the step, whose numbers lie at a device address. */
  #runHead(rows: number, count: number): void {
    const { sampleRows, limits } = this.#batch
    this.#device.stream.copy(sampleRows.address, rows, count * 4)
    const padded = this.#padded(count, limits.maxSamples)
    this.#head.replay(this.#device.stream, { tokens: padded, requests: padded, samples: padded })
  }

  /** Rows that a recording for `count` rows has. */
  #padded(count: number, most: number): number {
    const { captureRows } = this.#device.traits
    return Math.min(Math.ceil(count / captureRows) * captureRows, most)
  }
}
