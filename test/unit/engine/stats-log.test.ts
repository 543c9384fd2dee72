import { describe, expect, test } from "bun:test"
import { makeLog } from "../../../src/base/log.ts"
import { StatsCounters } from "../../../src/core/scheduler-stats.ts"
import type { SchedulerStats } from "../../../src/core/scheduler-stats.ts"
import { StatsLog } from "../../../src/engine/stats-log.ts"

function stats(overrides: Partial<SchedulerStats> = {}): SchedulerStats {
  const { prefixCache, promptTokens } = new StatsCounters()
  return {
    numBlocked: { grammar: 0, stale_output: 0, remote_kv: 0 },
    numRunning: 0, numWaiting: 0, numDeferred: 0, kvCacheUsage: 0, numPreemptions: 0, prefixCache, promptTokens,
    numGenerationTokens: 0, numIterationTokens: 0, specDecoding: null, ...overrides,
  }
}

function start() {
  const lines: string[] = []
  const due: (() => void)[] = []
  let now = 100
  const log = makeLog({ level: "debug", write: (line) => lines.push(line.replace(/ \S+Z /, " ").trimEnd()) })
  const stats = new StatsLog({
    intervalSeconds: 10, log, now: () => now,
    later: (seconds, callback) => {
      expect(seconds).toBe(10)
      due.push(callback)
    },
  })
  const tick = () => {
    now += 10
    due.shift()!()
  }
  return { lines, due, stats, tick }
}

describe("the line", () => {
  test("tells throughput, load and hit rate in vLLM's words", () => {
    const { lines, stats: log, tick } = start()
    const prefixCache = { ...new StatsCounters().prefixCache, requests: 2, queries: 80, hits: 20 }
    const promptTokens = { localCompute: 125, localCacheHit: 1000 }
    log.record(stats({ numRunning: 2, prefixCache, promptTokens, numGenerationTokens: 3 }))
    log.record(stats({ numRunning: 3, numWaiting: 4, numDeferred: 1, kvCacheUsage: 0.256, numPreemptions: 2,
      numGenerationTokens: 40 }))
    tick()
    expect(lines).toEqual([
      "INFO    Engine 000: Avg prompt throughput: 12.5 tokens/s, Avg generation throughput: 4.3 tokens/s, " +
        "Running: 3 reqs, Waiting: 4 reqs, Deferred: 1 reqs, Preemptions: 2, CPU KV cache usage: 25.6%, " +
        "Prefix cache hit rate: 25.0%",
    ])
  })

  test("the hit rate is that of the last thousand requests", () => {
    const { lines, stats: log, tick } = start()
    const lookups = (requests: number, hits: number) => {
      const prefixCache = { ...new StatsCounters().prefixCache, requests, queries: 10 * requests, hits }
      return stats({ numRunning: 1, prefixCache })
    }
    log.record(lookups(600, 6000))
    log.record(lookups(600, 0))
    tick()
    expect(lines[0]).toEndWith("Prefix cache hit rate: 0.0%")
  })
})

test("lines stop with the work, and nothing is left that would wake the process", () => {
  const { lines, due, stats: log, tick } = start()
  log.record(stats())
  expect(due).toHaveLength(0)
  // A request that starts and ends within one batch.
  log.record(stats({ numGenerationTokens: 1 }))
  tick()
  expect(due).toHaveLength(1)
  tick()
  expect(due).toHaveLength(0)
  expect(lines.map((line) => line.slice(0, 4))).toEqual(["INFO", "INFO"])
  expect(lines[1]).toContain("generation throughput: 0.0 tokens/s, Running: 0 reqs")
  log.record(stats({ numRunning: 1 }))
  expect(due).toHaveLength(1)
})

test("work that brings no tokens for a whole period is told at debug level", () => {
  const { lines, due, stats: log, tick } = start()
  log.record(stats({ numRunning: 1 }))
  tick()
  expect(lines[0]).toStartWith("DEBUG")
  expect(due).toHaveLength(1)
})
