/**
 * The front half of the engine: everything between HTTP and the engine core, on the main thread.
 *
 *   serving --shutdown--> draining --core closed--> stopped
 *    |   ^                   |
 *    |   +--- restarting     |
 *    |            ^ restart  |
 *    +-core died--+-> dead <-+
 *
 *   serving     requests are admitted
 *   draining    new ones are refused with 503; live ones go on until the time is up
 *   dead        every live request has ended with `EngineDeadError`; new ones fail at once
 *   restarting  the core is being started anew; requests are refused with 503 until it works
 *
 * Time and randomness are injected; nothing here blocks.
 */
import { assert, present } from "../base/assert.ts"
import { RequestError } from "../base/errors.ts"
import type { GrammarSpec } from "../core/grammar-spec.ts"
import type { SamplingParams } from "../core/sampling-params.ts"
import type { SchedulerStats } from "../core/scheduler-stats.ts"
import type { ChatTemplates } from "../text/chat-templates.ts"
import type { Tokenizer } from "../text/tokenizer.ts"
import { Admission } from "./admission.ts"
import type { AdmissionLimits } from "./admission.ts"
import { beamSearch } from "./beam-search.ts"
import { checkEmbedded } from "./embedded-tokens.ts"
import { EngineDeadError } from "./engine-client.ts"
import type { ChoiceOutput, EngineClient, EngineLoad, GenerateRequest, ModelInfo } from "./engine-client.ts"
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
  readonly chatTemplates: ChatTemplates
  /** Seconds, never going back. */
  readonly now: () => number
  readonly random: RandomSource
  /** Requests the scheduler runs at once, at most. */
  readonly maxNumSeqs: number
  readonly limits: AdmissionLimits
  /** Tokens that a stream's output has at least, but for the first and the last one; a request may ask for more. */
  readonly streamInterval?: number
  /** Labels of the `cache_config_info` metric. */
  readonly cacheConfig: MetricsConfig["cacheConfig"]
  readonly histogramBuckets?: Partial<MetricBuckets>
  /** The core tells how long blocks keep what they hold. */
  readonly hasResidency?: boolean
  /** Absent: requests with a grammar are refused. */
  readonly grammars?: GrammarCompiler
  /** Hears the core's stats of each batch. */
  readonly onStats?: (stats: SchedulerStats) => void
  /** Hears every request that is admitted. */
  readonly onRequest?: (request: GenerateRequest) => void
}

/** Gets grammars ready to be followed. */
export interface GrammarCompiler {
  /** For one text. Errors: `RequestError` for a grammar that cannot be followed. */
  compile(spec: GrammarSpec): Promise<GrammarUse>
  stop(): void
}

export interface GrammarUse {
  readonly grammarId: number
  /** Its text will not be generated. */
  release(): void
}

/** By then another server may answer in the place of one that shuts down, or this one again. */
const RETRY_SECONDS = 5

/** A request that has been let in. */
interface Admitted {
  readonly state: RequestState
  readonly leave: () => void
}

export class AsyncEngine implements EngineClient {
  readonly model: ModelInfo
  readonly tokenizer: Tokenizer
  readonly chatTemplates: ChatTemplates
  readonly control: EngineController
  readonly #core: EngineCorePort
  readonly #now: () => number
  readonly #random: RandomSource
  readonly #admission: Admission
  readonly #streamInterval: number
  readonly #metrics: EngineMetrics
  readonly #processor: OutputProcessor
  readonly #onRequest: (request: GenerateRequest) => void
  readonly #onStats: (stats: SchedulerStats) => void
  readonly #grammars: GrammarCompiler | null
  #state: "serving" | "draining" | "stopped" | "dead" | "restarting" = "serving"
  #deathReason: string | null = null
  #death = Promise.withResolvers<string>()
  #load: EngineLoad = { kvCacheUsage: 0, numWaiting: 0 }
  /** Resolves when a drain has nothing to wait for any more, or waits no longer. */
  readonly #idle = Promise.withResolvers<void>()
  #shutdown: Promise<void> | null = null

  constructor(options: AsyncEngineOptions) {
    const { model, tokenizer, core } = options
    this.model = model
    this.tokenizer = tokenizer
    this.chatTemplates = options.chatTemplates
    this.#core = core
    this.#now = options.now
    this.#random = options.random
    this.#streamInterval = options.streamInterval ?? 1
    this.#metrics = new EngineMetrics({
      modelName: model.servedNames[0] ?? model.root,
      maxModelLen: model.maxModelLen,
      cacheConfig: options.cacheConfig,
      buckets: options.histogramBuckets ?? {},
      hasResidency: options.hasResidency ?? false,
      created: model.created,
    })
    this.#processor = new OutputProcessor({ metrics: this.#metrics, tokenizer })
    this.#admission = new Admission(options.limits, {
      maxNumSeqs: options.maxNumSeqs,
      now: options.now,
      numUnfinished: () => this.#processor.numLive,
      numPrefillTokens: () => this.#processor.numPrefillTokens(),
      onRejection: (reason) => this.#metrics.recordRejection(reason),
    })
    this.#onRequest = options.onRequest ?? (() => {})
    this.#onStats = options.onStats ?? (() => {})
    this.#grammars = options.grammars ?? null
    this.control = new EngineController({
      call: this.#call,
      abort: (isMeant) => this.#abortWithOutput(isMeant),
      measured: (operation, how) => this.#measured(operation, how),
      onSleep: (level) => this.#metrics.recordSleepState(SLEEP_STATES[level ?? 0]),
    })
    core.onOutputs((batch) => this.#receive(batch))
    core.onDeath((error) => this.#die(error))
  }

  validateSampling(sampling: SamplingParams): void {
    validateSampling(sampling, this.model)
  }

  async checkGrammar(spec: GrammarSpec): Promise<void> {
    const use = await present(this.#grammars, "a compiler of grammars").compile(spec)
    use.release()
  }

  validatePrompt(promptTokenIds: readonly number[], sampling: SamplingParams): void {
    checkEmbedded(promptTokenIds, this.tokenizer, this.model.vocabSize)
    validatePrompt(promptTokenIds, sampling, this.model)
  }

  generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<ChoiceOutput, void, void> {
    const { sampling, beamSearch: search = null } = request
    if (search !== null) return beamSearch(this, request, search, signal)
    if (sampling.grammar !== null) return this.#generateByGrammar(request, sampling.grammar, signal)
    return this.#generate(request, [], signal)
  }

  async *#generateByGrammar(
    request: GenerateRequest, spec: GrammarSpec, signal: AbortSignal,
  ): AsyncGenerator<ChoiceOutput, void, void> {
    this.#checkAlive()
    this.validatePrompt(request.promptTokenIds, request.sampling)
    const uses: GrammarUse[] = []
    try {
      for (let choice = 0; choice < request.sampling.n; choice++) {
        uses.push(await present(this.#grammars, "a compiler of grammars").compile(spec))
      }
    } catch (error) {
      for (const use of uses) use.release()
      throw error
    }
    yield* this.#generate(request, uses, signal)
  }

  /** `grammars`: one a choice, or none. */
  #generate(
    request: GenerateRequest, grammars: readonly GrammarUse[], signal: AbortSignal,
  ): AsyncGenerator<ChoiceOutput, void, void> {
    const { outputKind: kind, sampling } = request
    const hasPromptLogprobs = sampling.promptLogprobs !== null
    const collector = new OutputCollector({ kind, numChoices: sampling.n, hasPromptLogprobs })
    let admitted: Admitted | null = null
    const abort = () => stream.end()
    const stream: OutputStream = new OutputStream(collector, {
      start: () => {
        this.#checkAlive()
        if (signal.aborted) {
          for (const use of grammars) use.release()
          return stream.end()
        }
        admitted = this.#admit(request, { collector, stream }, grammars)
        this.#onRequest(request)
        signal.addEventListener("abort", abort)
      },
      end: () => {
        signal.removeEventListener("abort", abort)
        if (admitted === null) return
        this.#abort(admitted.state)
        admitted.leave()
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

  notReadyReason(): string | null {
    if (this.#state === "draining") return "The server is shutting down."
    if (this.#deathReason !== null) return this.#deathReason
    if (this.control.isSleeping) return "The engine sleeps."
    return this.control.isPaused ? "The engine is paused." : null
  }

  async restart(): Promise<void> {
    assert(this.#state === "dead", () => `the engine is ${this.#state}`)
    this.#state = "restarting"
    try {
      await this.#core.restart()
    } catch (error) {
      if (this.#state === "restarting") this.#state = "dead"
      throw error
    }
    if (this.#state !== "restarting") return
    this.#state = "serving"
    this.#deathReason = null
    this.#death = Promise.withResolvers()
    this.control.reset()
  }

  metrics(): string {
    return this.#metrics.render()
  }

  load(): EngineLoad {
    return this.#load
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

  async #measured(operation: "sleep" | "wake", how: () => Promise<void>): Promise<void> {
    const start = this.#now()
    this.#metrics.sleepOperationBegan(operation)
    try {
      await how()
    } finally {
      this.#metrics.sleepOperationEnded(operation, this.#now() - start)
    }
  }

  async #drainAndClose(): Promise<void> {
    this.#noteIdle()
    await this.#idle.promise
    this.#abortWithOutput(() => true)
    await this.#core.close()
    this.#grammars?.stop()
    this.#state = "stopped"
    this.#deathReason ??= "The engine has been shut down."
  }

  #checkAlive(): void {
    if (this.#state === "draining") {
      throw new RequestError("The server is shutting down.", {
        status: 503, type: "ServiceUnavailableError", retryAfterSeconds: RETRY_SECONDS,
      })
    }
    if (this.#state === "restarting") {
      throw new RequestError("The engine died and is being started again.", {
        status: 503, type: "ServiceUnavailableError", retryAfterSeconds: RETRY_SECONDS,
      })
    }
    if (this.#deathReason !== null) throw new EngineDeadError(this.#deathReason)
  }

  /** Errors: `RequestError`, or a bug; then nothing of the request is anywhere. */
  #admit(
    request: GenerateRequest, to: { collector: OutputCollector; stream: OutputStream }, grammars: readonly GrammarUse[],
  ): Admitted {
    const { promptTokenIds, priority, cacheSalt } = request
    this.validatePrompt(promptTokenIds, request.sampling)
    const sampling = normalizeSampling(request.sampling, this.model)
    const leave = this.#admission.enter(request.owner ?? "", sampling.n)
    sampling.streamInterval = Math.max(sampling.streamInterval, this.#streamInterval)
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
      this.#core.add(children.map(({ id, sampling }, i) => ({
        requestId: id, promptTokenIds, sampling, priority, arrivalTime, cacheSalt,
        grammarId: grammars[i]?.grammarId ?? null,
      })))
    } catch (error) {
      this.#abort(state)
      leave()
      throw error
    }
    return { state, leave }
  }

  #receive(batch: EngineCoreOutputs): void {
    if (this.#deathReason !== null) return
    const { stats } = batch
    const idsToAbort = this.#processor.process(batch, this.#now())
    if (idsToAbort.length > 0) this.#core.abort(idsToAbort)
    this.#metrics.recordStep(stats, batch.outputs.length > 0)
    this.#onStats(stats)
    this.#admission.recordStep(stats)
    this.#load = { kvCacheUsage: stats.kvCacheUsage, numWaiting: stats.numWaiting + stats.numDeferred }
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
    this.#load = { kvCacheUsage: 0, numWaiting: 0 }
    this.#death.resolve(this.#deathReason)
    this.#noteIdle()
  }

  #noteIdle(): void {
    if (this.#state !== "serving" && this.#processor.numLive === 0) this.#idle.resolve()
  }
}
