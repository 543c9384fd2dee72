/** What became of the log itself: lines that nobody read in time are missing from it. */
import { MetricsRegistry } from "../../engine/metrics-registry.ts"

/** Prometheus text. */
export function renderLogMetrics(numDropped: number): string {
  const registry = new MetricsRegistry()
  const help = "Log lines that were dropped because the reader of stderr did not take them in time, or went away."
  registry.counter({ name: "baozi:log_lines_dropped", help }).labels().inc(numDropped)
  return registry.render()
}
