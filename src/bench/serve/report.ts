import { formatShare } from "../report.ts"
import { METRIC_NAMES, type MetricOptions, type ServeMetrics } from "./metrics.ts"

const WIDTH = 50

/** The block that `vllm bench serve` prints. */
export function describeServe(
  metrics: ServeMetrics, options: MetricOptions, load: { requestRate: number; maxConcurrency: number | null },
): string {
  const title = (text: string, fill: string) => {
    const left = Math.floor((WIDTH - text.length - 2) / 2)
    return `${fill.repeat(left)} ${text} ${fill.repeat(WIDTH - text.length - 2 - left)}`
  }
  const line = (name: string, value: number, digits = 2) =>
    `${`${name}:`.padEnd(40)} ${(digits === 0 ? String(value) : value.toFixed(digits)).padEnd(9)}`.trimEnd()
  const lines = [
    title("Serving Benchmark Result", "="),
    line("Successful requests", metrics.completed, 0),
    line("Failed requests", metrics.failed, 0),
    ...(load.maxConcurrency === null ? [] : [line("Maximum request concurrency", load.maxConcurrency, 0)]),
    ...(load.requestRate === Infinity ? [] : [line("Request rate configured (RPS)", load.requestRate)]),
    line("Benchmark duration (s)", metrics.duration),
    line("Total input tokens", metrics.total_input_tokens, 0),
    line("Total generated tokens", metrics.total_output_tokens, 0),
    line("Request throughput (req/s)", metrics.request_throughput),
    ...(metrics.request_goodput === null ? [] : [
      line("Request goodput (req/s)", metrics.request_goodput),
      `${"Share of the requests:".padEnd(40)} ${formatShare(metrics.request_goodput / metrics.request_throughput)}`,
    ]),
    line("Output token throughput (tok/s)", metrics.output_throughput),
    line("Peak output token throughput (tok/s)", metrics.max_output_tokens_per_s),
    line("Peak concurrent requests", metrics.max_concurrent_requests, 0),
    line("Total token throughput (tok/s)", metrics.total_token_throughput),
  ]
  for (const metric of options.metrics) {
    const value = (kind: string) => metrics.latencies[`${kind}_${metric}_ms`]!
    const short = metric.toUpperCase()
    lines.push(title(METRIC_NAMES[metric], "-"), line(`Mean ${short} (ms)`, value("mean")),
      line(`Median ${short} (ms)`, value("median")))
    for (const p of options.percentiles) lines.push(line(`P${p} ${short} (ms)`, value(`p${p}`)))
  }
  return `${[...lines, "=".repeat(WIDTH)].join("\n")}\n`
}
