/**
 * The engine on the calling thread: scheduler, model and sampler step by step, with each step's time and least cost.
 * No threads, no messages, no text.
 */
import { assert } from "../base/assert.ts"
import { ConfigError } from "../base/errors.ts"
import { Request } from "../core/request.ts"
import { defaultSamplingParams } from "../core/sampling-params.ts"
import { makeSchedulerConfig } from "../core/scheduler-config.ts"
import { Scheduler } from "../core/scheduler.ts"
import type { EngineConfig } from "../exec/engine-config.ts"
import { loadModel, type LoadedModel } from "../exec/load-model.ts"
import { stepCost, type StepCost } from "../exec/model-cost.ts"

export interface Step {
  readonly seconds: number
  /** Parts of it: planning, running, taking in. */
  readonly scheduleSeconds: number
  readonly executeSeconds: number
  readonly updateSeconds: number
  /** Tokens computed, and tokens sampled. */
  readonly numTokens: number
  readonly numSampled: number
  readonly numRequests: number
  /** Every request computed the one token it sampled last. */
  readonly isDecode: boolean
  readonly cost: StepCost
}

export class StepEngine {
  readonly model: LoadedModel
  readonly #scheduler: Scheduler
  readonly #maxStepTokens: number
  /** [#maxStepTokens, V], made by the first prompt whose logits are read. */
  #logits: Float32Array | null = null
  #nextId = 0

  private constructor(model: LoadedModel, scheduler: Scheduler, maxStepTokens: number) {
    this.model = model
    this.#scheduler = scheduler
    this.#maxStepTokens = maxStepTokens
  }

  /** Errors: `ConfigError` when model, flags and machine do not fit. */
  static load(config: EngineConfig): StepEngine {
    const model = loadModel(config, () => {})
    const { plan, groups } = model
    const schedulerConfig = makeSchedulerConfig({
      maxModelLen: plan.maxModelLen, maxNumBatchedTokens: config.maxNumBatchedTokens, maxNumSeqs: config.maxNumSeqs,
      policy: config.schedulingPolicy, enableChunkedPrefill: config.enableChunkedPrefill,
      longPrefillTokenThreshold: config.longPrefillTokenThreshold,
    })
    const kv = { numBlocks: plan.numBlocks, groups, enablePrefixCaching: config.enablePrefixCaching }
    const scheduler = new Scheduler(schedulerConfig, kv, { clock: () => performance.now() / 1000 })
    return new StepEngine(model, scheduler, config.maxNumBatchedTokens)
  }

  /** Greedy, to its full length. Errors: `ConfigError` for a request longer than the model takes. */
  add(tokenIds: readonly number[], outputLen: number): void {
    this.#add(tokenIds, outputLen, null)
  }

  /**
   * The same for several, as if their prompts had been computed: their part of the KV cache holds what was there
   * before. For timing what comes after prompts that take long themselves.
   */
  addComputed(prompts: readonly (readonly number[])[], outputLen: number): void {
    for (const prompt of prompts) this.#add(prompt, outputLen, null)
    for (let numLeft = prompts.length; numLeft > 0; ) {
      const plan = this.#scheduler.schedule()
      const sampling = plan.requests.filter(({ samples }) => samples)
      numLeft -= sampling.filter((r) => r.numComputedTokens < r.numPromptTokens).length
      const sampledTokenIds = new Map(sampling.map(({ requestId }) => [requestId, [0]]))
      this.#scheduler.updateFromOutput(plan, { sampledTokenIds, logprobs: new Map(), promptLogprobs: new Map() })
    }
  }

  /** The log-probability of each token but the first, given those before it. */
  score(tokenIds: readonly number[]): number[] {
    this.#add(tokenIds, 1, 0)
    const logprobs: number[] = []
    while (this.#scheduler.hasUnfinishedRequests()) {
      const plan = this.#scheduler.schedule()
      for (const output of this.#scheduler.updateFromOutput(plan, this.model.execute(plan)))
        logprobs.push(...(output.promptLogprobs ?? []).map((entry) => entry.logprob))
    }
    assert(logprobs.length === tokenIds.length - 1, () => `${logprobs.length} scores of ${tokenIds.length} tokens`)
    return logprobs
  }

  /**
   * The logits that foretell each token but the first, in order, in pieces of whole rows [n, V]. A piece is overwritten
   * when the next one is asked for; none has more rows than a step has tokens. Requires: no request is on its way.
   */
  *promptLogits(tokenIds: readonly number[]): Generator<Float32Array, void> {
    assert(!this.#scheduler.hasUnfinishedRequests(), "logits are read of one request at a time")
    this.#add(tokenIds, 1, 0)
    while (this.#scheduler.hasUnfinishedRequests()) {
      const plan = this.#scheduler.schedule()
      this.#logits ??= new Float32Array(this.#maxStepTokens * this.model.traits.vocabSize)
      let numValues = 0
      const result = this.model.execute(plan, (_requestId, _first, rows) => {
        this.#logits!.set(rows, numValues)
        numValues += rows.length
      })
      this.#scheduler.updateFromOutput(plan, result)
      if (numValues > 0) yield this.#logits.subarray(0, numValues)
    }
  }

  #add(tokenIds: readonly number[], outputLen: number, promptLogprobs: number | null): void {
    const { maxModelLen } = this.model.plan
    if (tokenIds.length + outputLen > maxModelLen)
      throw new ConfigError(
        `a prompt of ${tokenIds.length} tokens and an answer of ${outputLen}: this model takes ${maxModelLen} together`,
      )
    const sampling = defaultSamplingParams({ temperature: 0, ignoreEos: true, maxTokens: outputLen, promptLogprobs })
    const requestId = String(this.#nextId++)
    this.#scheduler.addRequest(
      new Request({ requestId, promptTokenIds: tokenIds, sampling, arrivalTime: performance.now() / 1000 }))
  }

  /** Runs until every request is done. */
  run(): Step[] {
    const steps: Step[] = []
    while (this.#scheduler.hasUnfinishedRequests()) steps.push(this.step())
    return steps
  }

  step(): Step {
    const started = performance.now()
    const plan = this.#scheduler.schedule()
    const planned = performance.now()
    const cost = stepCost(this.model.cost, plan)
    const isDecode = plan.requests.every((r) => r.numScheduledTokens === 1 && r.numComputedTokens >= r.numPromptTokens)
    const executing = performance.now()
    const result = this.model.execute(plan)
    const executed = performance.now()
    this.#scheduler.updateFromOutput(plan, result)
    const scheduleSeconds = (planned - started) / 1000
    const executeSeconds = (executed - executing) / 1000
    const updateSeconds = (performance.now() - executed) / 1000
    return {
      seconds: scheduleSeconds + executeSeconds + updateSeconds, scheduleSeconds, executeSeconds, updateSeconds,
      numTokens: plan.totalNumScheduledTokens,
      numSampled: plan.requests.filter(({ samples }) => samples).length, numRequests: plan.requests.length,
      isDecode, cost,
    }
  }

  dispose(): void {
    this.model.dispose()
  }
}
