import type { BlockEviction } from "./kv/block-residency.ts"
import type { BlockedCounts } from "./request-queue.ts"

/** Counts for metrics. Gauges are the present state; everything else is since the last `makeStats`. */
export interface SchedulerStats {
  readonly numRunning: number
  /** Waiting for room; the deferred ones are not among them. */
  readonly numWaiting: number
  /** Blocked: waiting for something else than room. */
  readonly numDeferred: number
  /** The same by what they wait for. */
  readonly numBlocked: BlockedCounts
  /** Share of the KV cache's blocks in use, 0 to 1. */
  readonly kvCacheUsage: number
  readonly numPreemptions: number
  readonly prefixCache: PrefixCacheStats
  readonly promptTokens: PromptTokenStats
  readonly numGenerationTokens: number
  /** Prompt tokens computed, counted when a prefill ends, and tokens generated. */
  readonly numIterationTokens: number
  /** Null when no drafts were verified. */
  readonly specDecoding: SpecDecodingStats | null
  /** Of the blocks that are watched; absent where none are. */
  readonly evictions?: readonly BlockEviction[]
}

/** Tokens looked up in the prefix cache and found there, once an admission. */
export interface PrefixCacheStats {
  requests: number
  queries: number
  hits: number
  /** The same for requests admitted again after a preemption, which are not among the others. */
  preemptedRequests: number
  preemptedQueries: number
  preemptedHits: number
}

/** Prompt tokens of the prefills that ended, by source. */
export interface PromptTokenStats {
  localCompute: number
  localCacheHit: number
}

export interface SpecDecodingStats {
  numDrafts: number
  numDraftTokens: number
  numAcceptedTokens: number
  /** [position in the draft] */
  numDraftTokensPerPos: number[]
  numAcceptedTokensPerPos: number[]
}

/** What a scheduler adds up between two `makeStats`. */
export class StatsCounters {
  numPreemptions = 0
  numGenerationTokens = 0
  readonly promptTokens: PromptTokenStats = { localCompute: 0, localCacheHit: 0 }
  readonly prefixCache: PrefixCacheStats = {
    requests: 0,
    queries: 0,
    hits: 0,
    preemptedRequests: 0,
    preemptedQueries: 0,
    preemptedHits: 0,
  }
  specDecoding: SpecDecodingStats | null = null

  recordPrefixLookup(lookup: { numTokens: number; numHits: number; wasPreempted: boolean }): void {
    const { prefixCache } = this
    if (lookup.wasPreempted) {
      prefixCache.preemptedRequests += 1
      prefixCache.preemptedQueries += lookup.numTokens
      prefixCache.preemptedHits += lookup.numHits
    } else {
      prefixCache.requests += 1
      prefixCache.queries += lookup.numTokens
      prefixCache.hits += lookup.numHits
    }
  }

  recordDraft(numDraftTokens: number, numAcceptedTokens: number): void {
    this.specDecoding ??= {
      numDrafts: 0,
      numDraftTokens: 0,
      numAcceptedTokens: 0,
      numDraftTokensPerPos: [],
      numAcceptedTokensPerPos: [],
    }
    const stats = this.specDecoding
    stats.numDrafts += 1
    stats.numDraftTokens += numDraftTokens
    stats.numAcceptedTokens += numAcceptedTokens
    for (let i = 0; i < numDraftTokens; i++) {
      stats.numDraftTokensPerPos[i] = (stats.numDraftTokensPerPos[i] ?? 0) + 1
      stats.numAcceptedTokensPerPos[i] = (stats.numAcceptedTokensPerPos[i] ?? 0) + (i < numAcceptedTokens ? 1 : 0)
    }
  }
}
