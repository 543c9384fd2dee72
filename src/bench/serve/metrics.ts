/** The figures of `vllm bench serve`, under its names and by its definitions. */
import { mean, median, percentile, standardDeviation, sum } from "../statistics.ts"
import type { Outcome } from "./request.ts"

export const METRICS = ["ttft", "tpot", "itl", "e2el", "client_queue_time", "e2el_including_client_queue"] as const
export type Metric = (typeof METRICS)[number]
export const METRIC_NAMES: Readonly<Record<Metric, string>> = {
  ttft: "Time to First Token", tpot: "Time per Output Token (excl. 1st token)", itl: "Inter-token Latency",
  e2el: "End-to-end Latency", client_queue_time: "Client Queue Time",
  e2el_including_client_queue: "End-to-end Latency including Client Queue",
}

/** Milliseconds that a request must not exceed to count as good. */
export type Goodput = Readonly<Partial<Record<"ttft" | "tpot" | "e2el", number>>>

export interface MetricOptions {
  readonly metrics: readonly Metric[]
  readonly percentiles: readonly number[]
  readonly goodput: Goodput | null
}

export interface ServeMetrics {
  readonly duration: number
  readonly completed: number
  readonly failed: number
  readonly total_input_tokens: number
  readonly total_output_tokens: number
  readonly request_throughput: number
  /** Null: no --goodput. */
  readonly request_goodput: number | null
  readonly output_throughput: number
  readonly total_token_throughput: number
  readonly max_output_tokens_per_s: number
  readonly max_concurrent_requests: number
  /** {mean,median,std,pXX}_<metric>_ms. */
  readonly latencies: Readonly<Record<string, number>>
}

/** Milliseconds a token after the first; null for an answer of one. */
export function tpotMs({ latencyMs, ttftMs, outputTokens }: Outcome): number | null {
  return outputTokens > 1 ? (latencyMs - ttftMs) / (outputTokens - 1) : null
}

/** `durationSeconds`: of the whole run. Only successful requests count. */
export function serveMetrics(
  outcomes: readonly Outcome[], durationSeconds: number, options: MetricOptions,
): ServeMetrics {
  const done = outcomes.filter(({ error }) => error === null)
  const input = sum(done.map((outcome) => outcome.promptTokens))
  const output = sum(done.map((outcome) => outcome.outputTokens))
  const { goodput } = options
  return {
    duration: durationSeconds, completed: done.length, failed: outcomes.length - done.length,
    total_input_tokens: input, total_output_tokens: output, request_throughput: done.length / durationSeconds,
    request_goodput: goodput === null ? null : done.filter((one) => isGood(one, goodput)).length / durationSeconds,
    output_throughput: output / durationSeconds, total_token_throughput: (input + output) / durationSeconds,
    ...peaks(done), latencies: describeAll(done, options),
  }
}

function isGood(outcome: Outcome, limits: Goodput): boolean {
  const within = (value: number, limit: number | undefined) => limit === undefined || value <= limit
  return within(outcome.ttftMs, limits.ttft) && within(tpotMs(outcome) ?? 0, limits.tpot) &&
    within(outcome.latencyMs, limits.e2el)
}

function valuesOf(metric: Metric, done: readonly Outcome[]): number[] {
  switch (metric) {
    case "ttft":
      return done.map((outcome) => outcome.ttftMs)
    case "tpot":
      return done.map(tpotMs).filter((value) => value !== null)
    case "itl":
      return done.flatMap((outcome) => outcome.itlsMs)
    case "e2el":
      return done.map((outcome) => outcome.latencyMs)
    case "client_queue_time":
      return done.map((outcome) => outcome.queueMs)
    case "e2el_including_client_queue":
      return done.map((outcome) => outcome.latencyMs + outcome.queueMs)
  }
}

/** A metric without values is 0, as in vLLM. */
function describeAll(done: readonly Outcome[], { metrics, percentiles }: MetricOptions): Record<string, number> {
  const figures: Record<string, number> = {}
  for (const metric of metrics) {
    const values = valuesOf(metric, done)
    const known = values.length > 0 ? values : [0]
    figures[`mean_${metric}_ms`] = mean(known)
    figures[`median_${metric}_ms`] = median(known)
    figures[`std_${metric}_ms`] = standardDeviation(known)
    for (const p of percentiles) figures[`p${p}_${metric}_ms`] = percentile(known, p)
  }
  return figures
}

/** Over the seconds since the first request: most tokens that came, a token a chunk, and most requests on their way. */
function peaks(done: readonly Outcome[]): Pick<ServeMetrics, "max_output_tokens_per_s" | "max_concurrent_requests"> {
  const tokens = new Map<number, number>()
  const running = new Map<number, number>()
  const startMs = done.reduce((least, outcome) => Math.min(least, outcome.startMs), Infinity)
  const count = (map: Map<number, number>, second: number) => map.set(second, (map.get(second) ?? 0) + 1)
  const secondOf = (ms: number) => Math.floor((ms - startMs) / 1000)
  for (const outcome of done) {
    let at = outcome.startMs + outcome.ttftMs
    count(tokens, secondOf(at))
    for (const itl of outcome.itlsMs) count(tokens, secondOf((at += itl)))
    const last = secondOf(outcome.startMs + outcome.latencyMs)
    for (let second = secondOf(outcome.startMs); second <= last; second++) count(running, second)
  }
  return {
    max_output_tokens_per_s: Math.max(0, ...tokens.values()), max_concurrent_requests: Math.max(0, ...running.values()),
  }
}
