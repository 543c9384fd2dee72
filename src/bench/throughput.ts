import type { MachineLimits } from "./machine-limits.ts"
import { phasesOf, type Phase } from "./phases.ts"
import { formatShare, formatTable } from "./report.ts"
import { sum } from "./statistics.ts"
import type { StepEngine } from "./step-engine.ts"

export interface TokenRequest {
  readonly tokenIds: readonly number[]
  readonly outputLen: number
}

/** `vllm bench throughput`'s figures under its names, and what it took apart. */
export interface ThroughputFigures {
  readonly elapsed_time: number
  readonly num_requests: number
  readonly total_num_tokens: number
  readonly requests_per_second: number
  readonly tokens_per_second: number
  readonly output_tokens_per_second: number
  readonly num_steps: number
  readonly prefill: Phase
  readonly decode: Phase
  readonly limits: MachineLimits
}

/** All requests at once, greedy, to their full lengths. */
export function measureThroughput(
  engine: StepEngine, requests: readonly TokenRequest[], limits: MachineLimits,
): ThroughputFigures {
  for (const { tokenIds, outputLen } of requests) engine.add(tokenIds, outputLen)
  const started = performance.now()
  const steps = engine.run()
  const elapsed = (performance.now() - started) / 1000
  const outputTokens = sum(requests.map((request) => request.outputLen))
  const tokens = sum(requests.map((request) => request.tokenIds.length)) + outputTokens
  return {
    elapsed_time: elapsed, num_requests: requests.length, total_num_tokens: tokens,
    requests_per_second: requests.length / elapsed, tokens_per_second: tokens / elapsed,
    output_tokens_per_second: outputTokens / elapsed, num_steps: steps.length, ...phasesOf(steps, limits), limits,
  }
}

export function describeThroughput(figures: ThroughputFigures): string {
  const { prefill, decode } = figures
  return [
    `${figures.num_requests} requests in ${figures.elapsed_time.toFixed(2)} s: ` +
      `${figures.requests_per_second.toFixed(2)} requests/s, ${figures.tokens_per_second.toFixed(1)} tok/s, ` +
      `${figures.output_tokens_per_second.toFixed(1)} output tok/s`,
    "",
    formatTable([
      ["steps", "tokens", "seconds", "tok/s", "share of the limit"],
      ["with prompts", prefill.tokens, prefill.seconds, prefill.tokensPerSecond, formatShare(prefill.shareOfLimit)],
      ["decode alone", decode.tokens, decode.seconds, decode.tokensPerSecond, formatShare(decode.shareOfLimit)],
    ]),
  ].join("\n")
}
