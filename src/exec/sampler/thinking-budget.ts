import type { ThinkingBudget } from "../../core/sampling-params.ts"
import type { TokenSequence } from "../../core/token-list.ts"

/**
 * The token that has to come next because the request's reasoning has used up its budget; null while there is none.
 *
 * Reasoning is open where the last start mark, or the start that has none, comes after the last end mark, in prompt and
 * output. Once the budget is used up the forced end comes token by token, from where the text already ends with a part
 * of it. It follows from the tokens alone. Source: vLLM's second model runner.
 */
export function forcedToken(tokenIds: TokenSequence, budget: ThinkingBudget | null): number | null {
  if (budget === null) return null
  const { startIds, endIds, forcedEndIds, maxTokens, unmarkedStart } = budget
  const marked = lastIndexOf(tokenIds, startIds)
  const end = lastIndexOf(tokenIds, endIds)
  const begin = marked > end ? marked + startIds.length : unmarkedStart ?? -1
  if (begin < 0 || end >= begin) return null
  if (tokenIds.length - begin < maxTokens) return null
  return forcedEndIds[numWritten(tokenIds, begin, forcedEndIds)] ?? null
}

/** Where the last occurrence of `part` begins, or -1. */
function lastIndexOf(ids: TokenSequence, part: readonly number[]): number {
  for (let at = ids.length - part.length; at >= 0; at--) {
    if (part.every((id, i) => ids.at(at + i) === id)) return at
  }
  return -1
}

/** Tokens of `end` that stand at the end of `ids[begin, ...)` already: the most that do. */
function numWritten(ids: TokenSequence, begin: number, end: readonly number[]): number {
  for (let count = Math.min(end.length, ids.length - begin); count > 0; count--) {
    const from = ids.length - count
    let isThere = true
    for (let i = 0; i < count && isThere; i++) isThere = ids.at(from + i) === end[i]
    if (isThere) return count
  }
  return 0
}
