import type { Outcome } from "./request.ts"
import type { ServeMetrics } from "./metrics.ts"

export interface RunInfo {
  readonly backend: "openai" | "openai-chat"
  readonly label: string | null
  readonly modelId: string
  readonly tokenizerId: string | null
  readonly numPrompts: number
  readonly metadata: Readonly<Record<string, string>>
  readonly requestRate: number
  readonly burstiness: number
  readonly maxConcurrency: number | null
  /** Arrays with an element a request. */
  readonly isDetailed: boolean
}

/** The object that `vllm bench serve --save-result` writes, key for key. Times of requests in seconds. */
export function resultObject(
  info: RunInfo, metrics: ServeMetrics, outcomes: readonly Outcome[], date: Date,
): Record<string, unknown> {
  const { latencies, ...figures } = metrics
  return {
    date: stamp(date), endpoint_type: info.backend, backend: info.backend, label: info.label, model_id: info.modelId,
    tokenizer_id: info.tokenizerId ?? info.modelId, num_prompts: info.numPrompts, ...info.metadata,
    request_rate: info.requestRate === Infinity ? "inf" : info.requestRate,
    burstiness: info.burstiness === Infinity ? "inf" : info.burstiness, max_concurrency: info.maxConcurrency,
    ...figures, ...latencies, ...(info.isDetailed ? details(outcomes) : {}),
  }
}

function details(outcomes: readonly Outcome[]): Record<string, unknown> {
  const seconds = (ms: number) => ms / 1000
  return {
    input_lens: outcomes.map((o) => o.promptTokens), output_lens: outcomes.map((o) => o.outputTokens),
    ttfts: outcomes.map((o) => seconds(o.ttftMs)), itls: outcomes.map((o) => o.itlsMs.map(seconds)),
    start_times: outcomes.map((o) => seconds(o.startMs)), generated_texts: outcomes.map((o) => o.text),
    errors: outcomes.map((o) => o.error ?? ""),
  }
}

/** `<label or backend>-<rate>qps[-concurrency<n>]-<model>-<date>.json`. */
export function resultFileName(info: RunInfo, date: Date): string {
  const rate = info.requestRate === Infinity ? "inf" : String(info.requestRate)
  const concurrency = info.maxConcurrency === null ? "" : `-concurrency${info.maxConcurrency}`
  const model = info.modelId.split("/").at(-1)!
  return `${info.label ?? info.backend}-${rate}qps${concurrency}-${model}-${stamp(date)}.json`
}

/** 20261231-235959, in local time. */
function stamp(date: Date): string {
  const two = (value: number) => String(value).padStart(2, "0")
  const day = `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}`
  return `${day}-${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`
}
