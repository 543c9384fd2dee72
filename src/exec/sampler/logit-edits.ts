import type { ScheduledRequest } from "../../core/schedule-plan.ts"
import type { SampleRow } from "./sample-row.ts"
import { forcedToken } from "./thinking-budget.ts"

/**
 * The sparse changes a request's parameters make to its logits, in vLLM V1's order: bad words, then the ids that may
 * not end the request yet, then logit bias, then what a used-up thinking budget forces. Applying -inf or a bias is one
 * addition, so a row is a list of (id, value).
 */
export interface LogitEdits {
  readonly ids: number[]
  readonly values: number[]
}

/** More than any penalty takes back. */
const FORCED = 1e9

export function hasLogitEdits(row: SampleRow): boolean {
  const p = row.request.sampling
  return p.badWords !== null || p.logitBias !== null || p.thinkingBudget !== null || belowMinTokens(row)
}

export function appendLogitEdits(row: SampleRow, out: LogitEdits): void {
  const p = row.request.sampling
  if (p.badWords !== null) forbidBadWords(row, p.badWords, out)
  if (belowMinTokens(row)) for (const id of endingIds(row.request)) push(out, id, -Infinity)
  if (p.logitBias !== null) for (const [id, bias] of p.logitBias) push(out, id, bias)
  const forced = forcedToken(row.tokenIds, p.thinkingBudget)
  if (forced !== null) push(out, forced, FORCED)
}

function belowMinTokens({ request, numTokens }: SampleRow): boolean {
  return numTokens - request.numPromptTokens < request.sampling.minTokens
}

function endingIds(request: ScheduledRequest): Set<number> {
  const { stopTokenIds, eosTokenId, extraEosTokenIds } = request.sampling
  const ids = new Set([...stopTokenIds, ...extraEosTokenIds])
  if (eosTokenId !== null) ids.add(eosTokenId)
  return ids
}

/** A sequence whose beginning is the output's tail may not be completed; the prompt does not count. */
function forbidBadWords(
  { request, tokenIds }: SampleRow, words: readonly (readonly number[])[], out: LogitEdits,
): void {
  for (const word of words) {
    const prefix = word.length - 1
    const start = tokenIds.length - prefix
    if (start < request.numPromptTokens) continue
    let matches = true
    for (let i = 0; i < prefix && matches; i++) matches = tokenIds.at(start + i) === word[i]
    if (matches) push(out, word[prefix]!, -Infinity)
  }
}

function push(out: LogitEdits, id: number, value: number): void {
  out.ids.push(id)
  out.values.push(value)
}
