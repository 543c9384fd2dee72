/**
 * The engine's load as a header of an answer, for balancers that ask for it: ORCA's native form of a load report.
 * Source: vLLM's; https://github.com/cncf/xds/blob/main/xds/data/orca/v3/orca_load_report.proto
 */
import type { EngineLoad } from "../../engine/engine-client.ts"
import { formatNumber } from "../../engine/metrics-registry.ts"

const ASKED_BY = "endpoint-load-metrics-format"
const HEADER = "endpoint-load-metrics"

/** Adds it where the request asks for it in a form that there is. */
export function reportLoad(request: Request, response: Response, load: () => EngineLoad): void {
  const format = request.headers.get(ASKED_BY)?.toLowerCase()
  if (format !== "text" && format !== "json") return
  const { kvCacheUsage, numWaiting } = load()
  const metrics = [["kv_cache_usage_perc", kvCacheUsage], ["num_requests_waiting", numWaiting]] as const
  response.headers.set(HEADER, format === "text" ? `TEXT ${asText(metrics)}` : `JSON ${asJson(metrics)}`)
}

type Metrics = readonly (readonly [name: string, value: number])[]

function asText(metrics: Metrics): string {
  return metrics.map(([name, value]) => `named_metrics.${name}=${formatNumber(value)}`).join(", ")
}

function asJson(metrics: Metrics): string {
  return `{"named_metrics": {${metrics.map(([name, value]) => `"${name}": ${formatNumber(value)}`).join(", ")}}}`
}
