/**
 * vLLM's metrics, by the names its dashboards know, fed by the core's stats and by the life of each request.
 *
 * Definitions: queue = first scheduled - queued, prefill = first token - scheduled, decode = last - first token,
 * inference = last token - scheduled: all on the core's clock. Time to first token and end to end are on the front's
 * clock, from arrival. Preemption changes none of these starting points. Times are seconds.
 */
import type { FinishReason } from "../core/engine-core-output.ts"
import type { SchedulerStats, SpecDecodingStats } from "../core/scheduler-stats.ts"
import { MetricsRegistry, oneTwoFiveBounds } from "./metrics-registry.ts"
import type { Counter, Family, Gauge, Histogram } from "./metrics-registry.ts"

const FIRST_TOKEN_BOUNDS = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
]
const TOKEN_BOUNDS = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80]
const REQUEST_BOUNDS = [
  0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
]
const ITERATION_BOUNDS = [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384]

const FINISH_REASONS: readonly FinishReason[] = ["stop", "length", "abort", "error", "repetition"]
const ENGINE = "0"

export interface MetricsConfig {
  readonly modelName: string
  readonly maxModelLen: number
  /** Labels of `cache_config_info`: block_size, num_gpu_blocks, kv_cache_size_tokens, kv_cache_max_concurrency ... */
  readonly cacheConfig: Readonly<Record<string, string | number | boolean | null>>
  /** Seconds since the epoch for the `_created` series, or null for none. */
  readonly created: number | null
}

/** One finished generation; a null time is one that the request never reached. */
export interface FinishedRequest {
  readonly reason: FinishReason
  readonly numPromptTokens: number
  readonly numGenerationTokens: number
  readonly numCachedTokens: number
  readonly numPreemptions: number
  readonly maxTokens: number
  readonly arrivalTime: number
  /** Front-end clock. */
  readonly finishTime: number
  /** Core's clock, as the three below. */
  readonly queuedTime: number | null
  readonly scheduledTime: number | null
  readonly firstTokenTime: number | null
  readonly lastTokenTime: number | null
}

export class EngineMetrics {
  readonly timeToFirstToken: Histogram
  readonly interTokenLatency: Histogram
  readonly #registry: MetricsRegistry
  readonly #modelName: string
  readonly #scheduler: SchedulerMetrics
  readonly #requests: RequestMetrics
  readonly #rejections: Family<Counter>
  #specDecoding: SpecDecodingMetrics | null = null

  constructor(config: MetricsConfig) {
    const registry = new MetricsRegistry({ created: config.created })
    this.#registry = registry
    this.#modelName = config.modelName
    const make = new MetricMaker(registry, config.modelName)
    this.#scheduler = makeSchedulerMetrics(make)
    this.#requests = makeRequestMetrics(make, config.maxModelLen)
    this.timeToFirstToken = make.histogram("time_to_first_token_seconds", "Time to first token.", FIRST_TOKEN_BOUNDS)
    const betweenOutputs = "Time between outputs of a request."
    this.interTokenLatency = make.histogram("inter_token_latency_seconds", betweenOutputs, TOKEN_BOUNDS)
    this.#rejections = registry.counter({
      name: "vllm:admission_rejections",
      help: "Requests refused because too many were waiting.",
      labelNames: ["model_name", "reason"],
    })
    describeCache(registry, config.cacheConfig)
  }

  /** One batch of the core; `hasOutputs`: it brought tokens or ends of requests. */
  recordStep(stats: SchedulerStats, hasOutputs: boolean): void {
    const metrics = this.#scheduler
    metrics.running.set(stats.numRunning)
    metrics.waiting.set(stats.numWaiting + stats.numDeferred)
    metrics.waitingForCapacity.set(stats.numWaiting)
    metrics.deferred.set(stats.numDeferred)
    metrics.kvCacheUsage.set(stats.kvCacheUsage)
    metrics.prefixCacheQueries.inc(stats.prefixCache.queries)
    metrics.prefixCacheHits.inc(stats.prefixCache.hits)
    metrics.cachedOnDevice.inc(stats.prefixCache.hits)
    metrics.preemptions.inc(stats.numPreemptions)
    const { localCompute, localCacheHit } = stats.promptTokens
    metrics.promptTokens.inc(localCompute + localCacheHit)
    metrics.computedPromptTokens.inc(localCompute)
    metrics.cachedPromptTokens.inc(localCacheHit)
    metrics.promptTokensCached.inc(localCacheHit)
    metrics.generationTokens.inc(stats.numGenerationTokens)
    if (hasOutputs) metrics.iterationTokens.observe(stats.numIterationTokens)
    if (stats.specDecoding !== null) this.#recordSpecDecoding(stats.specDecoding)
  }

  /** The core is gone: it holds nothing any more. */
  recordDeath(): void {
    const { running, waiting, waitingForCapacity, deferred, kvCacheUsage } = this.#scheduler
    for (const gauge of [running, waiting, waitingForCapacity, deferred, kvCacheUsage]) gauge.set(0)
  }

  recordFinished(request: FinishedRequest): void {
    const metrics = this.#requests
    metrics.success[request.reason].inc()
    // An aborted or failed request says nothing about how long requests take.
    if (request.reason === "abort" || request.reason === "error") return
    metrics.e2eLatency.observe(request.finishTime - request.arrivalTime)
    metrics.promptTokens.observe(request.numPromptTokens)
    metrics.generationTokens.observe(request.numGenerationTokens)
    metrics.maxTokens.observe(request.maxTokens)
    metrics.prefillComputedTokens.observe(request.numPromptTokens - request.numCachedTokens)
    metrics.preemptions.observe(request.numPreemptions)
    const { queuedTime, scheduledTime, firstTokenTime, lastTokenTime } = request
    if (queuedTime !== null && scheduledTime !== null) metrics.queueTime.observe(scheduledTime - queuedTime)
    if (firstTokenTime === null || lastTokenTime === null) return
    const decodeTime = lastTokenTime - firstTokenTime
    metrics.decodeTime.observe(decodeTime)
    const { numGenerationTokens } = request
    metrics.timePerOutputToken.observe(numGenerationTokens > 1 ? decodeTime / (numGenerationTokens - 1) : 0)
    if (scheduledTime === null) return
    metrics.prefillTime.observe(firstTokenTime - scheduledTime)
    metrics.inferenceTime.observe(lastTokenTime - scheduledTime)
  }

  /** All `n` choices of a request have ended by themselves; the longest has `maxGenerationTokens`. */
  recordChoices(choices: { n: number; maxGenerationTokens: number }): void {
    this.#requests.n.observe(choices.n)
    this.#requests.maxGenerationTokens.observe(choices.maxGenerationTokens)
  }

  recordRejection(reason: string): void {
    this.#rejections.labels(this.#modelName, reason).inc()
  }

  render(): string {
    return this.#registry.render()
  }

  #recordSpecDecoding(stats: SpecDecodingStats): void {
    this.#specDecoding ??= makeSpecDecodingMetrics(new MetricMaker(this.#registry, this.#modelName))
    const metrics = this.#specDecoding
    metrics.drafts.inc(stats.numDrafts)
    metrics.draftTokens.inc(stats.numDraftTokens)
    metrics.acceptedTokens.inc(stats.numAcceptedTokens)
    for (const [position, count] of stats.numAcceptedTokensPerPos.entries()) {
      metrics.acceptedTokensPerPos.labels(this.#modelName, ENGINE, String(position)).inc(count)
    }
  }
}

const BASE_LABELS = ["model_name", "engine"]

/** Makes children that carry the base labels. */
class MetricMaker {
  readonly #registry: MetricsRegistry
  readonly #modelName: string

  constructor(registry: MetricsRegistry, modelName: string) {
    this.#registry = registry
    this.#modelName = modelName
  }

  gauge(name: string, help: string): Gauge {
    const family = this.#registry.gauge({ name: `vllm:${name}`, help, labelNames: BASE_LABELS })
    return family.labels(this.#modelName, ENGINE)
  }

  counter(name: string, help: string): Counter {
    const family = this.#registry.counter({ name: `vllm:${name}`, help, labelNames: BASE_LABELS })
    return family.labels(this.#modelName, ENGINE)
  }

  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const family = this.#registry.histogram({ name: `vllm:${name}`, help, labelNames: BASE_LABELS, bounds })
    return family.labels(this.#modelName, ENGINE)
  }

  /** One counter a value of `label`, all there from the start so that none appears out of nowhere. */
  counterBy<V extends string>(name: string, help: string, label: string, values: readonly V[]): Record<V, Counter> {
    const family = this.counterFamily(name, help, label)
    const child = (value: V): [V, Counter] => [value, family.labels(this.#modelName, ENGINE, value)]
    return Object.fromEntries(values.map(child)) as Record<V, Counter>
  }

  counterFamily(name: string, help: string, label: string): Family<Counter> {
    return this.#registry.counter({ name: `vllm:${name}`, help, labelNames: [...BASE_LABELS, label] })
  }

  gaugeBy<V extends string>(name: string, help: string, label: string, values: readonly V[]): Record<V, Gauge> {
    const family = this.#registry.gauge({ name: `vllm:${name}`, help, labelNames: [...BASE_LABELS, label] })
    const child = (value: V): [V, Gauge] => [value, family.labels(this.#modelName, ENGINE, value)]
    return Object.fromEntries(values.map(child)) as Record<V, Gauge>
  }
}

type SchedulerMetrics = ReturnType<typeof makeSchedulerMetrics>

function makeSchedulerMetrics(make: MetricMaker) {
  const running = make.gauge("num_requests_running", "Requests in the running batch.")
  const waiting = make.gauge("num_requests_waiting", "Requests waiting to be scheduled.")
  const reasons = ["capacity", "deferred"] as const
  const byReason = make.gaugeBy("num_requests_waiting_by_reason", "Waiting requests by reason.", "reason", reasons)
  const kvCacheUsage = make.gauge("kv_cache_usage_perc", "Share of the KV cache in use; 1 is all of it.")
  const prefixCacheQueries = make.counter("prefix_cache_queries", "Tokens looked up in the prefix cache.")
  const prefixCacheHits = make.counter("prefix_cache_hits", "Tokens found in the prefix cache.")
  const preemptions = make.counter("num_preemptions", "Preemptions of running requests.")
  const promptTokens = make.counter("prompt_tokens", "Prompt tokens processed.")
  const sources = ["local_compute", "local_cache_hit"] as const
  const bySource = make.counterBy("prompt_tokens_by_source", "Prompt tokens by source of their KV.", "source", sources)
  const promptTokensCached = make.counter("prompt_tokens_cached", "Prompt tokens whose KV was cached.")
  const cachedBySource = make.counterBy(
    "prompt_tokens_cached_by_source",
    "Prompt tokens found in a cache at admission, by where it is.",
    "source",
    ["device"],
  )
  const generationTokens = make.counter("generation_tokens", "Tokens generated.")
  const iterationTokens = make.histogram("iteration_tokens_total", "Tokens of one step.", ITERATION_BOUNDS)
  return {
    running,
    waiting,
    waitingForCapacity: byReason.capacity,
    deferred: byReason.deferred,
    kvCacheUsage,
    prefixCacheQueries,
    prefixCacheHits,
    preemptions,
    promptTokens,
    computedPromptTokens: bySource.local_compute,
    cachedPromptTokens: bySource.local_cache_hit,
    promptTokensCached,
    cachedOnDevice: cachedBySource.device,
    generationTokens,
    iterationTokens,
  }
}

type RequestMetrics = ReturnType<typeof makeRequestMetrics>

function makeRequestMetrics(make: MetricMaker, maxModelLen: number) {
  const tokenBounds = oneTwoFiveBounds(maxModelLen)
  const time = (name: string, help: string) => make.histogram(name, help, REQUEST_BOUNDS)
  const tokens = (name: string, help: string) => make.histogram(name, help, tokenBounds)
  return {
    success: make.counterBy("request_success", "Requests ended, by reason.", "finished_reason", FINISH_REASONS),
    promptTokens: tokens("request_prompt_tokens", "Prompt tokens of a request."),
    generationTokens: tokens("request_generation_tokens", "Tokens generated for a request."),
    maxGenerationTokens: tokens("request_max_num_generation_tokens", "Tokens of a request's longest choice."),
    maxTokens: tokens("request_params_max_tokens", "max_tokens of a request."),
    prefillComputedTokens: tokens("request_prefill_kv_computed_tokens", "Prompt tokens computed, not cached."),
    n: make.histogram("request_params_n", "n of a request.", [1, 2, 5, 10, 20]),
    preemptions: make.histogram("request_num_preemptions", "Preemptions of a request.", [1, 2, 3, 4, 5, 10, 20]),
    timePerOutputToken: make.histogram(
      "request_time_per_output_token_seconds",
      "Mean time per token after the first.",
      TOKEN_BOUNDS,
    ),
    e2eLatency: time("e2e_request_latency_seconds", "From arrival to the end."),
    queueTime: time("request_queue_time_seconds", "From queued to first scheduled."),
    inferenceTime: time("request_inference_time_seconds", "From first scheduled to the last token."),
    prefillTime: time("request_prefill_time_seconds", "From first scheduled to the first token."),
    decodeTime: time("request_decode_time_seconds", "From the first token to the last."),
  }
}

type SpecDecodingMetrics = ReturnType<typeof makeSpecDecodingMetrics>

function makeSpecDecodingMetrics(make: MetricMaker) {
  return {
    drafts: make.counter("spec_decode_num_drafts", "Drafts verified."),
    draftTokens: make.counter("spec_decode_num_draft_tokens", "Draft tokens verified."),
    acceptedTokens: make.counter("spec_decode_num_accepted_tokens", "Draft tokens accepted."),
    acceptedTokensPerPos: make.counterFamily(
      "spec_decode_num_accepted_tokens_per_pos",
      "Draft tokens accepted, by position in the draft.",
      "position",
    ),
  }
}

function describeCache(registry: MetricsRegistry, cacheConfig: MetricsConfig["cacheConfig"]): void {
  const names = Object.keys(cacheConfig)
  const family = registry.gauge({
    name: "vllm:cache_config_info",
    help: "The configuration of the KV cache, as labels.",
    labelNames: [...names, "engine"],
  })
  family.labels(...names.map((name) => String(cacheConfig[name])), ENGINE).set(1)
}
