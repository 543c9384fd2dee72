import { describe, expect, test } from "bun:test"
import type { EngineCoreOutput } from "../../../src/core/engine-core-output.ts"
import { StatsCounters } from "../../../src/core/scheduler-stats.ts"
import type { SchedulerStats } from "../../../src/core/scheduler-stats.ts"
import { EngineMetrics } from "../../../src/engine/metrics.ts"
import { makeFakeEngine } from "../../fake-engine.ts"
import { collect, coreOutput, sampleOf, start } from "./harness.ts"

const GAUGES = ["num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"]

test("10 requests of 10 tokens, one after another: every count is exact", async () => {
  const { engine } = makeFakeEngine({ reply: "abcdefgh" })
  for (let i = 0; i < 10; i++) {
    const outputKind = i % 2 === 0 ? "delta" : "final"
    await collect(start(engine, { promptTokenIds: [1, 2, 3, 4, 5], sampling: { maxTokens: 10 }, outputKind }))
  }
  const metrics = engine.metrics()
  const counts: [string, number][] = [
    ["time_to_first_token_seconds_count", 10],
    ["inter_token_latency_seconds_count", 10 * 9],
    ["iteration_tokens_total_count", 10 * 10],
    ["iteration_tokens_total_sum", 50 + 100],
    ["prompt_tokens_total", 50],
    ["generation_tokens_total", 100],
    ["e2e_request_latency_seconds_count", 10],
    ["request_queue_time_seconds_count", 10],
    ["request_prefill_time_seconds_count", 10],
    ["request_decode_time_seconds_count", 10],
    ["request_inference_time_seconds_count", 10],
    ["request_time_per_output_token_seconds_count", 10],
    ["request_prompt_tokens_sum", 50],
    ["request_generation_tokens_sum", 100],
    ["request_max_num_generation_tokens_sum", 100],
    ["request_prefill_kv_computed_tokens_sum", 50],
    ["request_params_n_sum", 10],
    ["request_params_max_tokens_sum", 100],
    ["request_num_preemptions_count", 10],
  ]
  for (const [name, count] of counts) expect([name, sampleOf(metrics, name)]).toEqual([name, count])
  expect(sampleOf(metrics, "request_success_total", 'finished_reason="length"')).toBe(10)
  for (const name of GAUGES) expect([name, sampleOf(metrics, name)]).toEqual([name, 0])
})

test("after aborts the gauges are back at zero", async () => {
  const { engine, core } = makeFakeEngine({ reply: "abcdefgh", stepMs: null, maxNumSeqs: 1 })
  const streams = [start(engine), start(engine)]
  const reads = streams.map((stream) => stream.next())
  core.step()
  const gauges = () => GAUGES.map((name) => sampleOf(engine.metrics(), name))
  expect(gauges()).toEqual([1, 1, 1])
  for (const stream of streams) await stream.return()
  await Promise.all(reads)
  expect(gauges()).toEqual([0, 0, 0])
  const metrics = engine.metrics()
  expect(sampleOf(metrics, "request_success_total", 'finished_reason="abort"')).toBe(2)
  expect(sampleOf(metrics, "e2e_request_latency_seconds_count")).toBe(0)
})

test("a request's times are on the core's clock, from its first scheduling, whatever preempts it", async () => {
  let now = 100
  const { engine, core } = makeFakeEngine({ stepMs: null, now: () => now })
  const done = collect(start(engine, { sampling: { maxTokens: 3 } }))
  const requestId = core.added[0]?.requestId ?? ""
  const emit = (time: number, output: Partial<EngineCoreOutput>) => {
    now = time
    core.emit([coreOutput({ requestId, ...output })])
  }
  emit(104, {
    events: [{ type: "queued", timestamp: 101 }, { type: "scheduled", timestamp: 103 }],
    prefillStats: { numPromptTokens: 3, numCachedTokens: 2, numComputedTokens: 1 },
  })
  emit(106, { events: [{ type: "preempted", timestamp: 105 }, { type: "scheduled", timestamp: 105.5 }] })
  emit(110, { finishReason: "length" })
  expect((await done).at(-1)?.numCachedTokens).toBe(2)
  const sums: [string, number][] = [
    ["time_to_first_token_seconds", 4],
    ["inter_token_latency_seconds", 2 + 4],
    ["request_queue_time_seconds", 2],
    ["request_prefill_time_seconds", 1],
    ["request_decode_time_seconds", 6],
    ["request_inference_time_seconds", 7],
    ["request_time_per_output_token_seconds", 3],
    ["e2e_request_latency_seconds", 10],
    ["request_num_preemptions", 1],
    ["request_prefill_kv_computed_tokens", 1],
  ]
  for (const [name, sum] of sums) expect([name, sampleOf(engine.metrics(), `${name}_sum`)]).toEqual([name, sum])
})

test("n > 1: each choice is a generation, the request is one", async () => {
  const reply = ({ requestId }: { requestId: string }) => (requestId.startsWith("0_") ? "abcdef<|eos|>" : "a<|eos|>")
  const { engine } = makeFakeEngine({ reply })
  await collect(start(engine, { sampling: { n: 2 } }))
  const metrics = engine.metrics()
  expect(sampleOf(metrics, "request_params_n_count")).toBe(1)
  expect(sampleOf(metrics, "request_params_n_sum")).toBe(2)
  expect(sampleOf(metrics, "request_max_num_generation_tokens_sum")).toBe(7)
  expect(sampleOf(metrics, "request_generation_tokens_count")).toBe(2)
  expect(sampleOf(metrics, "request_generation_tokens_sum")).toBe(9)
})

test("every series that vLLM shows from its start is there", () => {
  const text = makeFakeEngine().engine.metrics()
  const series = (type: string) =>
    [...text.matchAll(new RegExp(`^# TYPE vllm:(\\S+) ${type}$`, "gm"))].map((match) => match[1]!)
      .filter((name) => !name.endsWith("_created")).sort()
  expect(series("gauge")).toEqual([
    "cache_config_info", "engine_sleep_state", "kv_cache_usage_perc", "num_requests_running", "num_requests_waiting",
    "num_requests_waiting_by_reason", "sleep_mode_operations_in_flight",
  ])
  expect(series("counter")).toEqual([
    "admission_rejections_total", "external_prefix_cache_hits_total", "external_prefix_cache_queries_total",
    "generation_tokens_total", "mm_cache_hits_total", "mm_cache_queries_total", "num_preemptions_total",
    "prefix_cache_hits_total", "prefix_cache_queries_total", "prompt_tokens_by_source_total",
    "prompt_tokens_cached_by_source_total", "prompt_tokens_cached_total", "prompt_tokens_total",
    "request_success_total",
  ])
  expect(series("histogram")).toEqual([
    "e2e_request_latency_seconds", "inter_token_latency_seconds", "iteration_tokens_total",
    "request_decode_time_seconds", "request_generation_tokens", "request_inference_time_seconds",
    "request_max_num_generation_tokens", "request_num_preemptions", "request_params_max_tokens", "request_params_n",
    "request_prefill_kv_computed_tokens", "request_prefill_time_seconds", "request_prompt_tokens",
    "request_queue_time_seconds", "request_time_per_output_token_seconds", "sleep_mode_operation_duration_seconds",
    "time_to_first_token_seconds",
  ])
  for (const [state, value] of [["awake", 1], ["weights_offloaded", 0], ["discard_all", 0]] as const)
    expect(sampleOf(text, "engine_sleep_state", `sleep_state="${state}"`)).toBe(value)
})

test("sleeps and wake-ups are counted and timed, those that fail too", () => {
  const metrics = new EngineMetrics({ modelName: "m", maxModelLen: 10, cacheConfig: {}, created: null })
  metrics.sleepOperationBegan("sleep")
  expect(metrics.render()).toContain('vllm:sleep_mode_operations_in_flight{operation="sleep"} 1.0')
  metrics.sleepOperationEnded("sleep", 0.5)
  const text = metrics.render()
  expect(text).toContain('vllm:sleep_mode_operations_in_flight{operation="sleep"} 0.0')
  expect(text).toContain('vllm:sleep_mode_operation_duration_seconds_bucket{operation="sleep",le="1.0"} 1.0')
})

describe("stats", () => {
  const cacheConfig = { block_size: 16, enable_prefix_caching: true, num_gpu_blocks_override: null }
  const config = { modelName: "fake", maxModelLen: 100, cacheConfig, created: null }
  const stats = (overrides: Partial<SchedulerStats>): SchedulerStats => {
    const { prefixCache, promptTokens } = new StatsCounters()
    return {
      numRunning: 0,
      numWaiting: 0,
      numDeferred: 0,
      numBlocked: { grammar: 0, stale_output: 0, remote_kv: 0 },
      kvCacheUsage: 0,
      numPreemptions: 0,
      prefixCache,
      promptTokens,
      numGenerationTokens: 0,
      numIterationTokens: 0,
      specDecoding: null,
      ...overrides,
    }
  }

  test("gauges are the last, counters add up", () => {
    const metrics = new EngineMetrics(config)
    const prefixCache = { ...new StatsCounters().prefixCache, requests: 1, queries: 50, hits: 32 }
    const promptTokens = { localCompute: 18, localCacheHit: 32 }
    for (let i = 0; i < 2; i++) {
      const gauges = { numRunning: 3 + i, numWaiting: 2, numDeferred: 1, kvCacheUsage: 0.25 }
      metrics.recordStep(stats({ ...gauges, numPreemptions: 1, prefixCache, promptTokens }), i === 0)
    }
    const text = metrics.render()
    const samples: [string, string, number][] = [
      ["num_requests_running", "", 4],
      ["num_requests_waiting", "", 3],
      ["num_requests_waiting_by_reason", 'reason="capacity"', 2],
      ["num_requests_waiting_by_reason", 'reason="deferred"', 1],
      ["kv_cache_usage_perc", "", 0.25],
      ["num_preemptions_total", "", 2],
      ["prefix_cache_queries_total", "", 100],
      ["prefix_cache_hits_total", "", 64],
      ["prompt_tokens_total", "", 100],
      ["prompt_tokens_by_source_total", 'source="local_compute"', 36],
      ["prompt_tokens_by_source_total", 'source="local_cache_hit"', 64],
      ["prompt_tokens_cached_total", "", 64],
      ["iteration_tokens_total_count", "", 1],
    ]
    for (const [name, labels, value] of samples) {
      expect([name, labels, sampleOf(text, name, labels)]).toEqual([name, labels, value])
    }
    expect(text).toContain(
      'vllm:cache_config_info{block_size="16",enable_prefix_caching="True",num_gpu_blocks_override="None",' +
        'engine="0"} 1.0',
    )
  })

  test("lives of blocks are there where the core tells them", () => {
    expect(new EngineMetrics(config).render()).not.toContain("kv_block")
    const metrics = new EngineMetrics({ ...config, hasResidency: true })
    metrics.recordStep(stats({ evictions: [{ lifetime: 9, idle: 2, reuseGaps: [3, 4] }] }), false)
    const text = metrics.render()
    const name = (part: string) => `kv_block_${part}_seconds`
    const sums = ["lifetime", "idle_before_evict", "reuse_gap"].map((part) => sampleOf(text, `${name(part)}_sum`))
    expect(sums).toEqual([9, 2, 7])
    expect(sampleOf(text, `${name("reuse_gap")}_count`)).toBe(2)
  })

  test("drafts are counted from the first one on", () => {
    const metrics = new EngineMetrics(config)
    expect(metrics.render()).not.toContain("spec_decode")
    const counters = new StatsCounters()
    counters.recordDraft(3, 2)
    counters.recordDraft(3, 1)
    metrics.recordStep(stats({ specDecoding: counters.specDecoding }), true)
    const text = metrics.render()
    expect(sampleOf(text, "spec_decode_num_drafts_total")).toBe(2)
    expect(sampleOf(text, "spec_decode_num_draft_tokens_total")).toBe(6)
    expect(sampleOf(text, "spec_decode_num_accepted_tokens_total")).toBe(3)
    expect(sampleOf(text, "spec_decode_num_accepted_tokens_per_pos_total", 'position="0"')).toBe(2)
    expect(sampleOf(text, "spec_decode_num_accepted_tokens_per_pos_total", 'position="2"')).toBe(0)
  })
})
