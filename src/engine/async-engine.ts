/**
 * The front half of the engine: everything between HTTP and the engine core, on the main thread.
 *
 *   serving --shutdown--> draining --core closed--> stopped
 *      |                     |
 *      +-------core died-----+--> dead
 *
 *   serving   requests are admitted
 *   draining  new ones are refused with 503; live ones go on until the time is up
 *   dead      every live request has ended with `EngineDeadError`; new ones fail at once
 *
 * Time and randomness are injected; nothing here blocks.
 */
import { RequestError } from "../base/errors.ts"
import type { SamplingParams } from "../core/sampling-params.ts"
import type { SchedulerStats } from "../core/scheduler-stats.ts"
import type { ChatTemplate } from "../text/chat-template.ts"
import type { Tokenizer } from "../text/tokenizer.ts"
import { beamSearch } from "./beam-search.ts"
import { EngineDeadError } from "./engine-client.ts"
import type { ChoiceOutput, EngineClient, EngineControl, GenerateRequest, ModelInfo } from "./engine-client.ts"
import { EngineController } from "./engine-control.ts"
import type { EngineControlDeps } from "./engine-control.ts"
import type { EngineCoreOutputs, EngineCorePort } from "./engine-core-port.ts"
import type { MetricBuckets } from "./metric-buckets.ts"
import { EngineMetrics } from "./metrics.ts"
import { SLEEP_STATES } from "./metric-families.ts"
import type { MetricsConfig } from "./metrics.ts"
import { OutputCollector } from "./output-collector.ts"
import { OutputProcessor } from "./output-processor.ts"
import { OutputStream } from "./output-stream.ts"
import { childRequests } from "./parallel-sampling.ts"
import type { RandomSource } from "./parallel-sampling.ts"
import { ChoiceState, RequestState } from "./request-state.ts"
import { normalizeSampling, validatePrompt, validateSampling } from "./sampling-validation.ts"

export interface AsyncEngineOptions {
  readonly core: EngineCorePort
  readonly model: ModelInfo
  readonly tokenizer: Tokenizer
  readonly chatTemplate: ChatTemplate | null
  /** Seconds, never going back. */
  readonly now: () => number
  readonly random: RandomSource
  /** Requests the scheduler runs at once, at most. */
  readonly maxNumSeqs: number
  /** Requests that may wait while others run; more are refused with 503. Null is no such limit. */
  readonly maxWaitingRequests: number | null
  /** Tokens that a stream's output has at least, but for the first and the last one; a request may ask for more. */
  readonly streamInterval?: number
  /** Labels of the `cache_config_info` metric. */
  readonly cacheConfig: MetricsConfig["cacheConfig"]
  readonly histogramBuckets?: Partial<MetricBuckets>
  /** Hears the core's stats of each batch. */
  readonly onStats?: (stats: SchedulerStats) => void
  /** Hears every request that is admitted. */
  readonly onRequest?: (request: GenerateRequest) => void
}

export class AsyncEngine implements EngineClient {
  readonly model: ModelInfo
  readonly tokenizer: Tokenizer
  readonly chatTemplate: ChatTemplate | null
  readonly control: EngineControl
  readonly #core: EngineCorePort
  readonly #now: () => number
  readonly #random: RandomSource
  readonly #maxNumSeqs: number
  readonly #maxWaitingRequests: number | null
  readonly #streamInterval: number
  readonly #metrics: EngineMetrics
  readonly #processor: OutputProcessor
  readonly #onRequest: (request: GenerateRequest) => void
  readonly #onStats: (stats: SchedulerStats) => void
  #state: "serving" | "draining" | "stopped" | "dead" = "serving"
  #deathReason: string | null = null
  readonly #death = Promise.withResolvers<string>()
  /** By the core's last stats. */
  #numRunning = 0
  #hasWaiting = false
  /** Resolves when a drain has nothing to wait for any more, or waits no longer. */
  readonly #idle = Promise.withResolvers<void>()
  #shutdown: Promise<void> | null = null

  constructor(options: AsyncEngineOptions) {
    const { model, tokenizer, core } = options
    this.model = model
    this.tokenizer = tokenizer
    this.chatTemplate = options.chatTemplate
    this.#core = core
    this.#now = options.now
    this.#random = options.random
    this.#maxNumSeqs = options.maxNumSeqs
    this.#maxWaitingRequests = options.maxWaitingRequests
    this.#streamInterval = options.streamInterval ?? 1
    this.#metrics = new EngineMetrics({
      modelName: model.servedNames[0] ?? model.root,
      maxModelLen: model.maxModelLen,
      cacheConfig: options.cacheConfig,
      buckets: options.histogramBuckets ?? {},
      created: model.created,
    })
    this.#processor = new OutputProcessor({ metrics: this.#metrics, tokenizer })
    this.#onRequest = options.onRequest ?? (() => {})
    this.#onStats = options.onStats ?? (() => {})
    this.control = new EngineController({
      call: this.#call,
      abort: (isMeant) => this.#abortWithOutput(isMeant),
      onSleep: (level) => this.#metrics.recordSleepState(SLEEP_STATES[level ?? 0]),
    })
    core.onOutputs((batch) => this.#receive(batch))
    core.onDeath((error) => this.#die(error))
  }

  validateSampling(sampling: SamplingParams): void {
    validateSampling(sampling, this.model)
  }

  validatePrompt(promptTokenIds: readonly number[], sampling: SamplingParams): void {
    validatePrompt(promptTokenIds, sampling, this.model)
  }

  generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<ChoiceOutput, void, void> {
    const { outputKind: kind, sampling, beamSearch: search = null } = request
    if (search !== null) return beamSearch(this, request, search, signal)
    const collector = new OutputCollector({ kind, numChoices: sampling.n })
    let state: RequestState | null = null
    const abort = () => stream.end()
    const stream: OutputStream = new OutputStream(collector, {
      start: () => {
        this.#checkAlive()
        if (signal.aborted) return stream.end()
        state = this.#admit(request, { collector, stream })
        this.#onRequest(request)
        signal.addEventListener("abort", abort)
      },
      end: () => {
        signal.removeEventListener("abort", abort)
        if (state !== null) this.#abort(state)
      },
    })
    return stream
  }

  deathReason(): string | null {
    return this.#deathReason
  }

  get death(): Promise<string> {
    return this.#death.promise
  }

  metrics(): string {
    return this.#metrics.render()
  }

  numUnfinished(): number {
    return this.#processor.numLive
  }

  #call: EngineControlDeps["call"] = (name, ...args) => {
    if (this.#deathReason !== null) return Promise.reject(new EngineDeadError(this.#deathReason))
    return this.#core.call(name, ...args)
  }

  /** Called again while it waits, it waits no longer than the second time says. */
  shutdown(timeoutMs: number): Promise<void> {
    if (this.#shutdown === null) {
      if (this.#state === "serving") this.#state = "draining"
      this.#shutdown = this.#drainAndClose()
    }
    const timer = setTimeout(() => this.#idle.resolve(), timeoutMs)
    return this.#shutdown.finally(() => clearTimeout(timer))
  }

  async #drainAndClose(): Promise<void> {
    this.#noteIdle()
    await this.#idle.promise
    this.#abortWithOutput(() => true)
    await this.#core.close()
    this.#state = "stopped"
    this.#deathReason ??= "The engine has been shut down."
  }

  #checkAlive(): void {
    if (this.#state === "draining") {
      throw new RequestError("The server is shutting down.", { status: 503, type: "ServiceUnavailableError" })
    }
    if (this.#deathReason !== null) throw new EngineDeadError(this.#deathReason)
  }

  /** Errors: `RequestError`, or a bug; then nothing of the request is anywhere. */
  #admit(request: GenerateRequest, to: { collector: OutputCollector; stream: OutputStream }): RequestState {
    const { promptTokenIds, priority, cacheSalt } = request
    this.validatePrompt(promptTokenIds, request.sampling)
    const sampling = normalizeSampling(request.sampling, this.model)
    sampling.streamInterval = Math.max(sampling.streamInterval, this.#streamInterval)
    this.#checkRoom(sampling.n)
    const arrivalTime = this.#now()
    const state = new RequestState({
      requestId: request.requestId,
      kind: request.outputKind,
      ...to,
      promptTokenIds,
      arrivalTime,
      numChoices: sampling.n,
      onFinished: request.onFinished ?? (() => {}),
    })
    const children = childRequests(request.requestId, sampling, this.#random)
    try {
      // All are known before the first is sent: an output must find its choice.
      for (const child of children) {
        this.#processor.add(new ChoiceState({ ...child, request: state, tokenizer: this.tokenizer }))
      }
      for (const { id, sampling } of children) {
        this.#core.add({ requestId: id, promptTokenIds, sampling, priority, arrivalTime, cacheSalt })
      }
    } catch (error) {
      this.#abort(state)
      throw error
    }
    return state
  }

  /** Waiting are those beyond what can run at once, and while the core is full all that it has not started. */
  #checkRoom(numNew: number): void {
    if (this.#maxWaitingRequests === null) return
    const numLive = this.numUnfinished()
    const numRunning = this.#hasWaiting ? this.#numRunning : Math.min(numLive, this.#maxNumSeqs)
    const numWaiting = Math.max(0, numLive - numRunning)
    const numStarting = this.#hasWaiting ? 0 : Math.min(numNew, this.#maxNumSeqs - numRunning)
    if (numWaiting + numNew - numStarting <= this.#maxWaitingRequests) return
    this.#metrics.recordRejection("max_num_queued_reqs")
    throw new RequestError(
      `Too many requests are waiting: ${numWaiting} of at most ${this.#maxWaitingRequests}. Please try again later.`,
      { status: 503, type: "ServiceUnavailableError" },
    )
  }

  #receive(batch: EngineCoreOutputs): void {
    if (this.#deathReason !== null) return
    const { stats } = batch
    const idsToAbort = this.#processor.process(batch, this.#now())
    if (idsToAbort.length > 0) this.#core.abort(idsToAbort)
    this.#metrics.recordStep(stats, batch.outputs.length > 0)
    this.#onStats(stats)
    this.#numRunning = stats.numRunning
    this.#hasWaiting = stats.numWaiting + stats.numDeferred > 0
    this.#noteIdle()
  }

  #abortWithOutput(isMeant: (requestId: string) => boolean): number {
    const requests = [...this.#processor.liveRequests()].filter(({ requestId }) => isMeant(requestId))
    const ids = requests.flatMap((request) => this.#processor.abortWithOutput(request, this.#now()))
    if (ids.length > 0) this.#core.abort(ids)
    return requests.length
  }

  /** Nobody reads `request` any more: whatever of it is not finished is aborted. */
  #abort(request: RequestState): void {
    const ids = this.#processor.abort(request, this.#now())
    if (ids.length === 0) return
    this.#core.abort(ids)
    this.#noteIdle()
  }

  #die(error: Error): void {
    if (this.#state === "stopped" || this.#state === "dead") return
    this.#state = "dead"
    this.#deathReason = `The engine died: ${error.message}`
    for (const request of this.#processor.liveRequests()) {
      this.#processor.fail(request, new EngineDeadError(this.#deathReason), this.#now())
    }
    this.#metrics.recordDeath()
    this.#death.resolve(this.#deathReason)
    this.#noteIdle()
  }

  #noteIdle(): void {
    if (this.#state !== "serving" && this.#processor.numLive === 0) this.#idle.resolve()
  }
}
