/** The families of `EngineMetrics`: names, labels and help texts. Names and label values are vLLM's. */
import type { FinishReason } from "../core/engine-core-output.ts"
import type { MetricBuckets } from "./metric-buckets.ts"
import type { Counter, Family, Gauge, Histogram, MetricsRegistry } from "./metrics-registry.ts"

export const ENGINE = "0"
const BASE_LABELS = ["model_name", "engine"]
const FINISH_REASONS: readonly FinishReason[] = ["stop", "length", "abort", "error", "repetition"]

/** Level 1 of sleep gives the weights back, level 2 also what would bring them back quickly. */
export const SLEEP_STATES = ["awake", "weights_offloaded", "discard_all"] as const
export type SleepState = (typeof SLEEP_STATES)[number]

/** Makes children that carry the base labels. */
export class MetricMaker {
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

export type SchedulerMetrics = ReturnType<typeof makeSchedulerMetrics>

export function makeSchedulerMetrics(make: MetricMaker, buckets: MetricBuckets) {
  const reasons = ["capacity", "deferred"] as const
  // Sources that nothing feeds yet are there with 0, as dashboards expect.
  const sources = ["local_compute", "local_cache_hit", "external_kv_transfer"] as const
  const places = ["device", "host", "p2p", "disk", "external_unspecified"] as const
  return {
    running: make.gauge("num_requests_running", "Requests in the running batch."),
    waiting: make.gauge("num_requests_waiting", "Requests waiting to be scheduled."),
    waitingBy: make.gaugeBy("num_requests_waiting_by_reason", "Waiting requests by reason.", "reason", reasons),
    kvCacheUsage: make.gauge("kv_cache_usage_perc", "Share of the KV cache in use; 1 is all of it."),
    sleep: make.gaugeBy("engine_sleep_state", "1 for the state that the engine is in.", "sleep_state", SLEEP_STATES),
    prefixCacheQueries: make.counter("prefix_cache_queries", "Tokens looked up in the prefix cache."),
    prefixCacheHits: make.counter("prefix_cache_hits", "Tokens found in the prefix cache."),
    externalQueries: make.counter("external_prefix_cache_queries", "Tokens looked up in other servers' caches."),
    externalHits: make.counter("external_prefix_cache_hits", "Tokens found in other servers' caches."),
    mediaQueries: make.counter("mm_cache_queries", "Images and sounds looked up in their cache."),
    mediaHits: make.counter("mm_cache_hits", "Images and sounds found in their cache."),
    preemptions: make.counter("num_preemptions", "Preemptions of running requests."),
    promptTokens: make.counter("prompt_tokens", "Prompt tokens processed."),
    promptBy: make.counterBy("prompt_tokens_by_source", "Prompt tokens by source of their KV.", "source", sources),
    promptTokensCached: make.counter("prompt_tokens_cached", "Prompt tokens whose KV was cached."),
    cachedBy: make.counterBy(
      "prompt_tokens_cached_by_source",
      "Prompt tokens found in a cache at admission, by where it is.",
      "source",
      places,
    ),
    generationTokens: make.counter("generation_tokens", "Tokens generated."),
    iterationTokens: make.histogram("iteration_tokens_total", "Tokens of one step.", buckets.iteration_tokens),
  }
}

export type RequestMetrics = ReturnType<typeof makeRequestMetrics>

export function makeRequestMetrics(make: MetricMaker, buckets: MetricBuckets) {
  const time = (name: string, help: string) => make.histogram(name, help, buckets.request_latency)
  const perToken = (name: string, help: string) => make.histogram(name, help, buckets.inter_token_latency)
  const tokens = (name: string, help: string) => make.histogram(name, help, buckets.request_tokens)
  return {
    success: make.counterBy("request_success", "Requests ended, by reason.", "finished_reason", FINISH_REASONS),
    promptTokens: tokens("request_prompt_tokens", "Prompt tokens of a request."),
    generationTokens: tokens("request_generation_tokens", "Tokens generated for a request."),
    maxGenerationTokens: tokens("request_max_num_generation_tokens", "Tokens of a request's longest choice."),
    maxTokens: tokens("request_params_max_tokens", "max_tokens of a request."),
    prefillComputedTokens: tokens("request_prefill_kv_computed_tokens", "Prompt tokens computed, not cached."),
    n: make.histogram("request_params_n", "n of a request.", buckets.request_params_n),
    preemptions: make.histogram(
      "request_num_preemptions", "Preemptions of a request.", buckets.request_num_preemptions,
    ),
    timeToFirstToken: make.histogram(
      "time_to_first_token_seconds", "Time to first token.", buckets.time_to_first_token,
    ),
    interTokenLatency: perToken("inter_token_latency_seconds", "Time between outputs of a request."),
    timePerOutputToken: perToken("request_time_per_output_token_seconds", "Mean time per token after the first."),
    e2eLatency: time("e2e_request_latency_seconds", "From arrival to the end."),
    queueTime: time("request_queue_time_seconds", "From queued to first scheduled."),
    inferenceTime: time("request_inference_time_seconds", "From first scheduled to the last token."),
    prefillTime: time("request_prefill_time_seconds", "From first scheduled to the first token."),
    decodeTime: time("request_decode_time_seconds", "From the first token to the last."),
  }
}

export type ResidencyMetrics = ReturnType<typeof makeResidencyMetrics>

export function makeResidencyMetrics(make: MetricMaker, buckets: MetricBuckets) {
  const time = (name: string, help: string) => make.histogram(name, help, buckets.kv_cache_residency)
  return {
    lifetime: time("kv_block_lifetime_seconds", "From when a KV block is handed out to when it is handed out again."),
    idle: time("kv_block_idle_before_evict_seconds", "From a KV block's last hit to when it is handed out again."),
    reuseGap: time("kv_block_reuse_gap_seconds", "Between two hits of a KV block."),
  }
}

export type SpecDecodingMetrics = ReturnType<typeof makeSpecDecodingMetrics>

export function makeSpecDecodingMetrics(make: MetricMaker) {
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

export const SLEEP_OPERATIONS = ["sleep", "wake"] as const
export type SleepOperation = (typeof SLEEP_OPERATIONS)[number]
const SLEEP_BOUNDS = [0.01, 0.1, 1, 10, 30, 60, 120, 300, 600]

/** They know no engine either: somebody waits for them. */
export function makeSleepOperationMetrics(registry: MetricsRegistry) {
  const labelNames = ["operation"]
  return {
    inFlight: registry.gauge({
      name: "vllm:sleep_mode_operations_in_flight", help: "Sleeps and wake-ups that are waited for.", labelNames,
    }),
    duration: registry.histogram({
      name: "vllm:sleep_mode_operation_duration_seconds", help: "Duration of a sleep or a wake-up.", labelNames,
      bounds: SLEEP_BOUNDS,
    }),
  }
}

/** Why a request may be refused before it is queued; vLLM's reasons. */
export const REJECTION_REASONS =
  ["max_num_queued_reqs", "max_num_queued_tokens", "max_waiting_requests", "max_requests_per_key"] as const
export type RejectionReason = (typeof REJECTION_REASONS)[number]

/** Rejections know no engine: they happen before one is chosen. */
export function makeRejectionMetrics(registry: MetricsRegistry, modelName: string): Record<RejectionReason, Counter> {
  const family = registry.counter({
    name: "vllm:admission_rejections",
    help: "Requests refused because too much was waiting.",
    labelNames: ["model_name", "reason"],
  })
  const child = (reason: RejectionReason) => [reason, family.labels(modelName, reason)] as const
  return Object.fromEntries(REJECTION_REASONS.map(child)) as Record<RejectionReason, Counter>
}

export type CacheLabels = Readonly<Record<string, string | number | boolean | null>>

/** `cache_config_info`: always 1; what it tells are its labels. */
export function describeCache(registry: MetricsRegistry, labels: CacheLabels): void {
  const names = Object.keys(labels)
  const family = registry.gauge({
    name: "vllm:cache_config_info",
    help: "The configuration of the KV cache, as labels.",
    labelNames: [...names, "engine"],
  })
  family.labels(...names.map((name) => pythonText(labels[name] ?? null)), ENGINE).set(1)
}

/** As Python writes it, so that panels which filter by a value find it. */
function pythonText(value: CacheLabels[string]): string {
  if (value === null) return "None"
  if (typeof value === "boolean") return value ? "True" : "False"
  return String(value)
}
