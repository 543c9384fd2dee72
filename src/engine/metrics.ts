/**
 * vLLM's metrics, by the names its dashboards know, fed by the core's stats and by the life of each request. What the
 * times mean is said in `finished-request.ts`.
 */
import type { BlockEviction } from "../core/kv/block-residency.ts"
import type { SchedulerStats, SpecDecodingStats } from "../core/scheduler-stats.ts"
import { requestTimes } from "./finished-request.ts"
import type { FinishedRequest } from "./finished-request.ts"
import { metricBuckets } from "./metric-buckets.ts"
import type { MetricBuckets } from "./metric-buckets.ts"
import {
  describeCache, ENGINE, makeRejectionMetrics, makeRequestMetrics, makeResidencyMetrics, makeSchedulerMetrics,
  makeSleepOperationMetrics, makeSpecDecodingMetrics, MetricMaker, SLEEP_STATES,
} from "./metric-families.ts"
import type {
  CacheLabels, RejectionReason, RequestMetrics, ResidencyMetrics, SchedulerMetrics, SleepOperation, SleepState,
  SpecDecodingMetrics,
} from "./metric-families.ts"
import { MetricsRegistry } from "./metrics-registry.ts"
import type { Counter, Histogram } from "./metrics-registry.ts"

export interface MetricsConfig {
  readonly modelName: string
  readonly maxModelLen: number
  /** Labels of `cache_config_info`: block_size, num_gpu_blocks, kv_cache_size_tokens, kv_cache_max_concurrency ... */
  readonly cacheConfig: CacheLabels
  /** Instead of the usual ones, by family. */
  readonly buckets?: Partial<MetricBuckets>
  /** The core watches how long blocks keep what they hold. */
  readonly hasResidency?: boolean
  /** Seconds since the epoch for the `_created` series, or null for none. */
  readonly created: number | null
}

export class EngineMetrics {
  readonly #registry: MetricsRegistry
  readonly #modelName: string
  readonly #scheduler: SchedulerMetrics
  readonly #requests: RequestMetrics
  readonly #rejections: Readonly<Record<RejectionReason, Counter>>
  readonly #sleepOperations: ReturnType<typeof makeSleepOperationMetrics>
  readonly #residency: ResidencyMetrics | null
  #specDecoding: SpecDecodingMetrics | null = null

  constructor(config: MetricsConfig) {
    const registry = new MetricsRegistry({ created: config.created })
    const make = new MetricMaker(registry, config.modelName)
    const buckets = metricBuckets(config.maxModelLen, config.buckets)
    this.#registry = registry
    this.#modelName = config.modelName
    this.#scheduler = makeSchedulerMetrics(make, buckets)
    this.#requests = makeRequestMetrics(make, buckets)
    this.#rejections = makeRejectionMetrics(registry, config.modelName)
    this.#residency = config.hasResidency ? makeResidencyMetrics(make, buckets) : null
    this.#sleepOperations = makeSleepOperationMetrics(registry)
    describeCache(registry, config.cacheConfig)
    this.recordSleepState("awake")
  }

  get timeToFirstToken(): Histogram {
    return this.#requests.timeToFirstToken
  }

  get interTokenLatency(): Histogram {
    return this.#requests.interTokenLatency
  }

  /** One batch of the core; `hasOutputs`: it brought tokens or ends of requests. */
  recordStep(stats: SchedulerStats, hasOutputs: boolean): void {
    const metrics = this.#scheduler
    metrics.running.set(stats.numRunning)
    metrics.waiting.set(stats.numWaiting + stats.numDeferred)
    metrics.waitingBy.capacity.set(stats.numWaiting)
    metrics.waitingBy.deferred.set(stats.numDeferred)
    metrics.kvCacheUsage.set(stats.kvCacheUsage)
    metrics.prefixCacheQueries.inc(stats.prefixCache.queries)
    metrics.prefixCacheHits.inc(stats.prefixCache.hits)
    metrics.cachedBy.device.inc(stats.prefixCache.hits)
    metrics.preemptions.inc(stats.numPreemptions)
    const { localCompute, localCacheHit } = stats.promptTokens
    metrics.promptTokens.inc(localCompute + localCacheHit)
    metrics.promptBy.local_compute.inc(localCompute)
    metrics.promptBy.local_cache_hit.inc(localCacheHit)
    metrics.promptTokensCached.inc(localCacheHit)
    metrics.generationTokens.inc(stats.numGenerationTokens)
    if (hasOutputs) metrics.iterationTokens.observe(stats.numIterationTokens)
    if (stats.specDecoding !== null) this.#recordSpecDecoding(stats.specDecoding)
    for (const eviction of stats.evictions ?? []) this.#recordEviction(eviction)
  }

  recordSleepState(state: SleepState): void {
    for (const each of SLEEP_STATES) this.#scheduler.sleep[each].set(each === state ? 1 : 0)
  }

  sleepOperationBegan(operation: SleepOperation): void {
    const gauge = this.#sleepOperations.inFlight.labels(operation)
    gauge.set(gauge.value + 1)
  }

  sleepOperationEnded(operation: SleepOperation, seconds: number): void {
    const { inFlight, duration } = this.#sleepOperations
    const gauge = inFlight.labels(operation)
    gauge.set(gauge.value - 1)
    duration.labels(operation).observe(seconds)
  }

  /** The core is gone: it holds nothing any more. */
  recordDeath(): void {
    const { running, waiting, waitingBy, kvCacheUsage } = this.#scheduler
    for (const gauge of [running, waiting, waitingBy.capacity, waitingBy.deferred, kvCacheUsage]) gauge.set(0)
  }

  recordFinished(request: FinishedRequest): void {
    const metrics = this.#requests
    metrics.success[request.reason].inc()
    // An aborted or failed request says nothing about how long requests take.
    if (request.reason === "abort" || request.reason === "error") return
    const { numGenerationTokens } = request
    metrics.promptTokens.observe(request.numPromptTokens)
    metrics.generationTokens.observe(numGenerationTokens)
    metrics.maxTokens.observe(request.maxTokens)
    metrics.prefillComputedTokens.observe(request.numPromptTokens - request.numCachedTokens)
    metrics.preemptions.observe(request.numPreemptions)
    const { queue, prefill, decode, inference, endToEnd } = requestTimes(request)
    metrics.e2eLatency.observe(endToEnd)
    if (queue !== null) metrics.queueTime.observe(queue)
    if (prefill !== null) metrics.prefillTime.observe(prefill)
    if (inference !== null) metrics.inferenceTime.observe(inference)
    if (decode === null) return
    metrics.decodeTime.observe(decode)
    metrics.timePerOutputToken.observe(numGenerationTokens > 1 ? decode / (numGenerationTokens - 1) : 0)
  }

  /** All `n` choices of a request have ended by themselves; the longest has `maxGenerationTokens`. */
  recordChoices(choices: { n: number; maxGenerationTokens: number }): void {
    this.#requests.n.observe(choices.n)
    this.#requests.maxGenerationTokens.observe(choices.maxGenerationTokens)
  }

  recordRejection(reason: RejectionReason): void {
    this.#rejections[reason].inc()
  }

  render(): string {
    return this.#registry.render()
  }

  #recordEviction({ lifetime, idle, reuseGaps }: BlockEviction): void {
    const metrics = this.#residency
    if (metrics === null) return
    metrics.lifetime.observe(lifetime)
    metrics.idle.observe(idle)
    for (const gap of reuseGaps) metrics.reuseGap.observe(gap)
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
