import { expect, test } from "bun:test"
import { ConfigError } from "../../../src/base/errors.ts"
import { metricBuckets, parseBuckets } from "../../../src/engine/metric-buckets.ts"
import { EngineMetrics } from "../../../src/engine/metrics.ts"

test("a family given replaces its bounds and no others'", () => {
  const usual = metricBuckets(100)
  const custom = metricBuckets(100, parseBuckets({ request_latency: [0.1, 7] }))
  expect(custom).toEqual({ ...usual, request_latency: [0.1, 7] })
  const text = new EngineMetrics({
    modelName: "m", maxModelLen: 100, cacheConfig: {}, created: null, buckets: { request_latency: [0.1, 7] },
  }).render()
  const bounds = (name: string) =>
    [...text.matchAll(new RegExp(`^vllm:${name}_bucket\\{.*le="([^"]+)"`, "gm"))].map((match) => match[1])
  for (const name of ["e2e_request_latency", "request_queue_time", "request_decode_time"])
    expect(bounds(`${name}_seconds`)).toEqual(["0.1", "7.0", "+Inf"])
  expect(bounds("request_prompt_tokens")).toEqual(["1.0", "2.0", "5.0", "10.0", "20.0", "50.0", "100.0", "+Inf"])
})

test.each<[string, Record<string, unknown>]>([
  ["unknown family \"latency\"", { latency: [1] }],
  ["request_latency must be", { request_latency: [] }],
  ["request_latency must be", { request_latency: [2, 1] }],
  ["request_latency must be", { request_latency: [1, 1] }],
  ["request_latency must be", { request_latency: [1, "2"] }],
  ["request_latency must be", { request_latency: [1, null] }],
  ["iteration_tokens must be", { iteration_tokens: Array.from({ length: 201 }, (_, i) => i) }],
  ["iteration_tokens must be", { iteration_tokens: 3 }],
])("refused: %s", (words, value) => {
  expect(() => parseBuckets(value)).toThrow(ConfigError)
  expect(() => parseBuckets(value)).toThrow(words)
})
