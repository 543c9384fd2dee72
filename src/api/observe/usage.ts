/** `usage` as each kind of answer writes it. */
import type { ChoiceOutput } from "../../engine/engine-client.ts"
import type { Usage } from "../schema/usage.ts"

export type ApiKind = "completion" | "chat"

/** Token counts of a request so far. */
export interface TokenCounts {
  readonly promptTokens: number
  readonly completionTokens: number
  readonly cachedTokens: number
  /** Undefined where reasoning is not parsed. */
  readonly reasoningTokens?: number | undefined
}

/** Counts over prompts (each once, however many choices it has). `outputs` is `[promptIdx][choice index]`. */
export function countTokens(
  promptLengths: readonly number[], outputs: readonly (readonly ChoiceOutput[])[],
): TokenCounts {
  let completionTokens = 0
  let cachedTokens = 0
  for (const choices of outputs) {
    cachedTokens += choices[0]?.numCachedTokens ?? 0
    for (const choice of choices) completionTokens += choice.numOutputTokens
  }
  return { promptTokens: promptLengths.reduce((sum, length) => sum + length, 0), completionTokens, cachedTokens }
}

/** Of a whole answer: every key written. */
export function fullUsage(counts: TokenCounts, kind: ApiKind): Usage {
  return {
    ...sums(counts),
    prompt_tokens_details: {
      cached_tokens: counts.cachedTokens,
      created_cache_tokens: kind === "chat" ? 0 : null,
      multimodal_tokens: null,
    },
    completion_tokens_details: completionDetails(counts),
  }
}

/** Of a stream's last chunk: nulls left out. */
export function finalChunkUsage(counts: TokenCounts, kind: ApiKind): Usage {
  const created = kind === "chat" ? { created_cache_tokens: 0 } : {}
  const details = completionDetails(counts)
  return {
    ...sums(counts),
    prompt_tokens_details: { cached_tokens: counts.cachedTokens, ...created },
    ...(details === null ? {} : { completion_tokens_details: details }),
  }
}

/** Of one choice while it streams (`continuous_usage_stats`). */
export function runningUsage(counts: TokenCounts, kind: ApiKind): Usage {
  return { ...sums(counts), ...(kind === "chat" ? { completion_tokens_details: completionDetails(counts) } : {}) }
}

function completionDetails({ reasoningTokens }: TokenCounts): Usage["completion_tokens_details"] & (object | null) {
  return reasoningTokens === undefined ? null : { reasoning_tokens: reasoningTokens }
}

function sums({ promptTokens, completionTokens }: TokenCounts): Usage {
  return {
    prompt_tokens: promptTokens,
    total_tokens: promptTokens + completionTokens,
    completion_tokens: completionTokens,
  }
}
