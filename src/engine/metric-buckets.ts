/** The upper bounds of every histogram, vLLM's, by the families that `--custom-histogram-buckets` may replace. */
import { ConfigError } from "../base/errors.ts"
import { oneTwoFiveBounds } from "./metrics-registry.ts"

/** Seconds, but for the counts of tokens, choices and preemptions. `request_tokens` depends on the model. */
const DEFAULTS = {
  request_latency: [
    0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
  ],
  time_to_first_token: [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
  ],
  inter_token_latency: [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
  ],
  iteration_tokens: [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384],
  request_params_n: [1, 2, 5, 10, 20],
  request_num_preemptions: [1, 2, 3, 4, 5, 10, 20],
  kv_cache_residency: [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800,
  ],
} as const satisfies Record<string, readonly number[]>

export type BucketFamily = keyof typeof DEFAULTS | "request_tokens"
export type MetricBuckets = Readonly<Record<BucketFamily, readonly number[]>>

const FAMILIES: readonly string[] = [...Object.keys(DEFAULTS), "request_tokens"]
/** Each bound is a series on /metrics. */
const MAX_BOUNDS = 200

export function metricBuckets(maxModelLen: number, custom: Partial<MetricBuckets> = {}): MetricBuckets {
  return { ...DEFAULTS, request_tokens: oneTwoFiveBounds(maxModelLen), ...custom }
}

/** Checks what a user gave as buckets. Errors: `ConfigError` that names the family and the rule. */
export function parseBuckets(value: Readonly<Record<string, unknown>>): Partial<MetricBuckets> {
  for (const [family, bounds] of Object.entries(value)) {
    if (!FAMILIES.includes(family))
      throw new ConfigError(
        `histogram buckets: unknown family ${JSON.stringify(family)}; known: ${FAMILIES.join(", ")}`,
      )
    if (!areBounds(bounds))
      throw new ConfigError(
        `histogram buckets: ${family} must be a list of 1 to ${MAX_BOUNDS} finite numbers in ascending order`,
      )
  }
  return value as Partial<MetricBuckets>
}

function areBounds(value: unknown): boolean {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_BOUNDS) return false
  return value.every((bound, i) => Number.isFinite(bound) && (i === 0 || (value[i - 1] as number) < (bound as number)))
}
