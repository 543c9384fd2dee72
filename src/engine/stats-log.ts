/**
 * A line of throughput and load every few seconds, in vLLM's words, while there is work.
 *
 * The first stats after a quiet time start the clock. A period without tokens is told once, then the lines stop, and
 * with nothing running or waiting the clock stops too: an idle server wakes up for nothing.
 */
import type { Log } from "../base/log.ts"
import type { PrefixCacheStats, SchedulerStats } from "../core/scheduler-stats.ts"

/** The hit rate is that of the last so many requests. */
const HIT_RATE_REQUESTS = 1000

export interface StatsLogDeps {
  readonly intervalSeconds: number
  readonly log: Log
  /** Seconds, never going back. */
  readonly now: () => number
  /** Calls back once, after so many seconds. */
  readonly later: (seconds: number, callback: () => void) => void
}

export class StatsLog {
  readonly #deps: StatsLogDeps
  readonly #hitRate = new RecentHitRate()
  #isTicking = false
  #startTime = 0
  #numPromptTokens = 0
  #numGenerationTokens = 0
  #numPreemptions = 0
  #wasActive = false
  #latest: SchedulerStats | null = null

  constructor(deps: StatsLogDeps) {
    this.#deps = deps
  }

  record(stats: SchedulerStats): void {
    const hasTokens = stats.promptTokens.localCompute + stats.numGenerationTokens > 0
    if (!this.#isTicking && (hasTokens || !isIdle(stats))) this.#startPeriod()
    this.#latest = stats
    this.#numPromptTokens += stats.promptTokens.localCompute
    this.#numGenerationTokens += stats.numGenerationTokens
    this.#numPreemptions += stats.numPreemptions
    this.#hitRate.add(stats.prefixCache)
  }

  #startPeriod(): void {
    this.#isTicking = true
    this.#startTime = this.#deps.now()
    this.#numPromptTokens = 0
    this.#numGenerationTokens = 0
    this.#numPreemptions = 0
    this.#deps.later(this.#deps.intervalSeconds, () => this.#tick())
  }

  #tick(): void {
    const stats = this.#latest
    const isActive = this.#numPromptTokens > 0 || this.#numGenerationTokens > 0
    if (stats !== null) this.#deps.log[isActive || this.#wasActive ? "info" : "debug"](this.#line(stats))
    const isDone = !isActive && stats !== null && isIdle(stats)
    this.#wasActive = isActive
    if (isDone) this.#isTicking = false
    else this.#startPeriod()
  }

  #line(stats: SchedulerStats): string {
    const seconds = Math.max(this.#deps.now() - this.#startTime, 1e-3)
    const perSecond = (numTokens: number): string => `${(numTokens / seconds).toFixed(1)} tokens/s`
    const hitRate = this.#hitRate.value
    return [
      `Engine 000: Avg prompt throughput: ${perSecond(this.#numPromptTokens)}`,
      `Avg generation throughput: ${perSecond(this.#numGenerationTokens)}`,
      `Running: ${stats.numRunning} reqs`,
      `Waiting: ${stats.numWaiting} reqs`,
      ...(stats.numDeferred > 0 ? [`Deferred: ${stats.numDeferred} reqs`] : []),
      ...(this.#numPreemptions > 0 ? [`Preemptions: ${this.#numPreemptions}`] : []),
      `CPU KV cache usage: ${percent(stats.kvCacheUsage)}`,
      ...(hitRate === null ? [] : [`Prefix cache hit rate: ${percent(hitRate)}`]),
    ].join(", ")
  }
}

/** Hits by queries over the most recent requests. */
class RecentHitRate {
  readonly #recent: PrefixCacheStats[] = []
  #numRequests = 0
  #queries = 0
  #hits = 0

  add(stats: PrefixCacheStats): void {
    if (stats.requests === 0) return
    this.#recent.push(stats)
    this.#count(stats, 1)
    while (this.#recent.length > 1 && this.#numRequests > HIT_RATE_REQUESTS) this.#count(this.#recent.shift()!, -1)
  }

  /** Null before the first query. */
  get value(): number | null {
    return this.#queries === 0 ? null : this.#hits / this.#queries
  }

  #count({ requests, queries, hits }: PrefixCacheStats, sign: 1 | -1): void {
    this.#numRequests += sign * requests
    this.#queries += sign * queries
    this.#hits += sign * hits
  }
}

function isIdle(stats: SchedulerStats): boolean {
  return stats.numRunning + stats.numWaiting + stats.numDeferred === 0
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`
}
