import { Prng } from "../base/prng.ts"
import { randomTokens } from "./datasets.ts"
import type { MachineLimits } from "./machine-limits.ts"
import { phasesOf, type Phase } from "./phases.ts"
import { formatShare, formatTable } from "./report.ts"
import { mean, median, percentile } from "./statistics.ts"
import type { Step, StepEngine } from "./step-engine.ts"

export interface LatencyOptions {
  readonly inputLen: number
  readonly outputLen: number
  readonly batchSize: number
  readonly numItersWarmup: number
  readonly numIters: number
  readonly seed: number
}

/** `vllm bench latency`'s figures under its names, and what it took apart. Latencies in seconds. */
export interface LatencyFigures {
  readonly avg_latency: number
  readonly latencies: readonly number[]
  readonly percentiles: Readonly<Record<string, number>>
  readonly prefill: Phase
  readonly decode: Phase
  readonly decode_step_ms: number
  readonly limits: MachineLimits
}

/** Every iteration draws new prompts: none finds its prefix cached. The phases are those of the median iteration. */
export function measureLatency(engine: StepEngine, options: LatencyOptions, limits: MachineLimits): LatencyFigures {
  const { batchSize, inputLen, outputLen } = options
  const prng = new Prng(options.seed)
  const tokens = Array.from({ length: engine.model.traits.vocabSize }, (_, id) => id)
  const iterate = (): { seconds: number; steps: Step[] } => {
    for (let i = 0; i < batchSize; i++) engine.add(randomTokens(inputLen, tokens, prng), outputLen)
    const started = performance.now()
    const steps = engine.run()
    return { seconds: (performance.now() - started) / 1000, steps }
  }
  for (let i = 0; i < options.numItersWarmup; i++) iterate()
  const runs = Array.from({ length: options.numIters }, iterate)
  const latencies = runs.map((run) => run.seconds)
  const middle = runs.toSorted((a, b) => a.seconds - b.seconds)[Math.floor((runs.length - 1) / 2)]!
  const decodeSteps = middle.steps.filter((step) => step.isDecode)
  return {
    avg_latency: mean(latencies), latencies,
    percentiles: Object.fromEntries([10, 25, 50, 75, 90, 99].map((p) => [p, percentile(latencies, p)])),
    ...phasesOf(middle.steps, limits), decode_step_ms: median(decodeSteps.map((step) => step.seconds)) * 1000, limits,
  }
}

export function describeLatency(options: LatencyOptions, figures: LatencyFigures): string {
  const { percentiles, prefill, decode } = figures
  const milliseconds = (seconds: number) => (seconds * 1000).toFixed(2)
  return [
    `${options.batchSize} requests of ${options.inputLen} tokens in and ${options.outputLen} out, ` +
      `${options.numIters} times: ${milliseconds(figures.avg_latency)} ms on average`,
    "",
    formatTable([
      ["percentile", ...Object.keys(percentiles).map((p) => `p${p}`)],
      ["latency, ms", ...Object.values(percentiles).map(milliseconds)],
    ]),
    formatTable([
      ["phase", "tokens", "seconds", "tok/s", "share of the limit"],
      ["prefill", prefill.tokens, prefill.seconds, prefill.tokensPerSecond, formatShare(prefill.shareOfLimit)],
      ["decode", decode.tokens, decode.seconds, decode.tokensPerSecond, formatShare(decode.shareOfLimit)],
    ]),
  ].join("\n")
}
