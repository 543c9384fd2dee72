/** How a request went, as `metrics` of its answer: vLLM's names for what vLLM tells, and the counts beside them. */
import { requestTimes } from "../../engine/finished-request.ts"
import type { DraftCounts, FinishedRequest } from "../../engine/finished-request.ts"
import type { ChunkMetrics, RequestMetrics } from "../schema/request-metrics.ts"

/** `figures` of every choice; there is no one story of several. */
export function requestMetrics(figures: readonly (FinishedRequest | null)[]): RequestMetrics | null {
  const [only] = figures
  return figures.length === 1 && only ? metricsOf(only) : null
}

/**
 * The same for the last chunk of a stream of `numChoices`: nulls left out, and empty where there is nothing to tell.
 */
export function chunkMetrics(
  figures: readonly FinishedRequest[], { isWanted, numChoices }: { isWanted: boolean; numChoices: number },
): { metrics?: ChunkMetrics } {
  const metrics = isWanted && numChoices === 1 ? requestMetrics(figures) : null
  if (metrics === null) return {}
  return { metrics: Object.fromEntries(Object.entries(metrics).filter(([, value]) => value !== null)) }
}

function metricsOf(figures: FinishedRequest): RequestMetrics {
  const { numGenerationTokens, numPromptTokens, numCachedTokens, drafts } = figures
  const { queue, prefill, decode, inference } = requestTimes(figures)
  return {
    time_to_first_token_ms: toMs(prefill),
    generation_time_ms: toMs(decode),
    queue_time_ms: toMs(queue),
    mean_itl_ms: decode === null || numGenerationTokens < 2 ? null : toMs(decode / (numGenerationTokens - 1)),
    tokens_per_second: rate(numGenerationTokens, inference),
    speculative_decoding: drafts === null ? null : speculation(drafts),
    prompt_tokens: numPromptTokens,
    cached_tokens: numCachedTokens,
    completion_tokens: numGenerationTokens,
    prompt_tokens_per_second: rate(numPromptTokens - numCachedTokens, prefill),
    num_preemptions: figures.numPreemptions,
  }
}

function speculation({ numDrafts, numDraftTokens, numAcceptedTokens }: DraftCounts) {
  return {
    num_spec_steps: numDrafts,
    num_draft_tokens: numDraftTokens,
    num_accepted_draft_tokens: numAcceptedTokens,
    mean_acceptance_length: 1 + numAcceptedTokens / numDrafts,
    draft_acceptance_rate: numAcceptedTokens / numDraftTokens,
  }
}

function toMs(seconds: number | null): number | null {
  return seconds === null ? null : seconds * 1000
}

/** By second; null without a time, or in none. */
function rate(count: number, seconds: number | null): number | null {
  return seconds === null || seconds <= 0 ? null : count / seconds
}
