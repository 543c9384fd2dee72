import { describe, expect, test } from "bun:test"
import { METRICS, serveMetrics, tpotMs, type MetricOptions } from "../../../src/bench/serve/metrics.ts"
import { describeServe } from "../../../src/bench/serve/report.ts"
import type { Outcome } from "../../../src/bench/serve/request.ts"
import { resultFileName, resultObject, type RunInfo } from "../../../src/bench/serve/result-file.ts"

const OPTIONS: MetricOptions = { metrics: METRICS, percentiles: [50, 99], goodput: null }

function outcome(fields: Partial<Outcome>): Outcome {
  return {
    error: null, startMs: 0, queueMs: 0, ttftMs: 100, itlsMs: [10, 20], latencyMs: 130, promptTokens: 8,
    outputTokens: 3, text: "", ...fields,
  }
}

describe("figures of a served load", () => {
  const outcomes = [
    outcome({}),
    outcome({ startMs: 50, queueMs: 40, ttftMs: 200, itlsMs: [30], latencyMs: 230, promptTokens: 4, outputTokens: 2 }),
    outcome({ startMs: 900, ttftMs: 50, itlsMs: [], latencyMs: 50, outputTokens: 1 }),
    outcome({ error: "500: no", promptTokens: 1000, outputTokens: 1000 }),
  ]

  test("count successful requests alone, over the time of the whole run", () => {
    expect(serveMetrics(outcomes, 2, OPTIONS)).toMatchObject({
      duration: 2, completed: 3, failed: 1, total_input_tokens: 20, total_output_tokens: 6, request_throughput: 1.5,
      output_throughput: 3, total_token_throughput: 13, request_goodput: null,
    })
  })

  test("TTFT, TPOT, ITL and E2EL are vLLM's", () => {
    const { latencies } = serveMetrics(outcomes, 2, OPTIONS)
    expect(latencies).toMatchObject({
      mean_ttft_ms: 350 / 3, median_ttft_ms: 100, mean_tpot_ms: (15 + 30) / 2, p50_itl_ms: 20, mean_e2el_ms: 410 / 3,
      p50_client_queue_time_ms: 0, mean_e2el_including_client_queue_ms: 450 / 3,
    })
    expect(latencies["p99_ttft_ms"]).toBeCloseTo(198, 9)
    expect(tpotMs(outcomes[2]!)).toBeNull()
  })

  test("goodput wants every limit held, and a lone token has no time per token", () => {
    const rate = (goodput: MetricOptions["goodput"]) =>
      serveMetrics(outcomes, 1, { ...OPTIONS, goodput }).request_goodput
    expect(rate({ ttft: 100 })).toBe(2)
    expect(rate({ ttft: 100, tpot: 14 })).toBe(1)
    expect(rate({ e2el: 229 })).toBe(2)
    expect(rate({ ttft: 1 })).toBe(0)
  })

  test("peaks are those of the fullest second", () => {
    expect(serveMetrics(outcomes, 2, OPTIONS)).toMatchObject({ max_output_tokens_per_s: 6, max_concurrent_requests: 3 })
    const late = outcome({ startMs: 5900, latencyMs: 1200, itlsMs: [10, 1090] })
    const apart = [outcome({}), outcome({ startMs: 5000 }), late]
    expect(serveMetrics(apart, 8, OPTIONS)).toMatchObject({ max_output_tokens_per_s: 3, max_concurrent_requests: 2 })
  })

  test("nothing that succeeded is all zeros", () => {
    const metrics = serveMetrics([outcome({ error: "no" })], 1, OPTIONS)
    expect(metrics).toMatchObject({ completed: 0, failed: 1, max_output_tokens_per_s: 0, max_concurrent_requests: 0 })
    expect(metrics.latencies["p99_ttft_ms"]).toBe(0)
  })

  test("are printed as vLLM prints them", () => {
    const options: MetricOptions = { metrics: ["ttft"], percentiles: [99], goodput: { ttft: 100 } }
    const text = describeServe(serveMetrics(outcomes, 2, options), options, { requestRate: 4, maxConcurrency: 2 })
    expect(text).toContain("============ Serving Benchmark Result ============\n")
    expect(text).toContain("Successful requests:                     3\n")
    expect(text).toContain("Request rate configured (RPS):           4.00\n")
    expect(text).toContain("Request goodput (req/s):                 1.00\n")
    expect(text).toContain("Median TTFT (ms):                        100.00\n")
    expect(text).toContain("P99 TTFT (ms):                           198.00\n")
  })
})

describe("the result file", () => {
  const info: RunInfo = {
    backend: "openai", label: null, modelId: "org/small", tokenizerId: null, numPrompts: 1, metadata: { note: "x" },
    requestRate: Infinity, burstiness: 1, maxConcurrency: 4, isDetailed: true,
  }
  const date = new Date(2026, 10, 27, 6, 5, 4)

  test("has vLLM's keys", () => {
    const options: MetricOptions = { metrics: ["ttft"], percentiles: [99], goodput: null }
    const outcomes = [outcome({ text: "hi" })]
    expect(resultObject(info, serveMetrics(outcomes, 1, options), outcomes, date)).toEqual({
      date: "20261127-060504", endpoint_type: "openai", backend: "openai", label: null, model_id: "org/small",
      tokenizer_id: "org/small", num_prompts: 1, note: "x", request_rate: "inf", burstiness: 1, max_concurrency: 4,
      duration: 1, completed: 1, failed: 0, total_input_tokens: 8, total_output_tokens: 3, request_throughput: 1,
      request_goodput: null, output_throughput: 3, total_token_throughput: 11, max_output_tokens_per_s: 3,
      max_concurrent_requests: 1, mean_ttft_ms: 100, median_ttft_ms: 100, std_ttft_ms: 0, p99_ttft_ms: 100,
      input_lens: [8], output_lens: [3], ttfts: [0.1], itls: [[0.01, 0.02]], start_times: [0], generated_texts: ["hi"],
      errors: [""],
    })
  })

  test("is named as vLLM names it", () => {
    expect(resultFileName(info, date)).toBe("openai-infqps-concurrency4-small-20261127-060504.json")
    expect(resultFileName({ ...info, label: "mine", requestRate: 2.5, maxConcurrency: null }, date))
      .toBe("mine-2.5qps-small-20261127-060504.json")
  })
})
