/** When a request ends by its tokens. Stop *strings* are the detokenizer's business: it aborts the request. */
import type { FinishReason } from "./engine-core-output.ts"
import type { Request } from "./request.ts"
import type { RepetitionDetectionParams } from "./sampling-params.ts"
import type { TokenSequence } from "./token-list.ts"

export interface Stop {
  readonly finishReason: FinishReason
  /** The stop token id, or what else ended it; null for the end-of-sequence token and for length. */
  readonly stopReason: number | string | null
}

const END_OF_SEQUENCE: Stop = { finishReason: "stop", stopReason: null }
const LENGTH: Stop = { finishReason: "length", stopReason: null }
const REPETITION: Stop = { finishReason: "repetition", stopReason: "repetition_detected" }

/**
 * Whether the request ends with its last output token, or null.
 * Below `minTokens` the sampler masks the ids that stop; one that comes anyway stops.
 */
export function checkStop(request: Request, maxModelLen: number): Stop | null {
  const { sampling, tokenIds, numOutputTokens } = request
  const last = tokenIds.at(tokenIds.length - 1)
  if (last === undefined || numOutputTokens === 0) return null
  if (last === sampling.eosTokenId && !sampling.ignoreEos) return END_OF_SEQUENCE
  if (sampling.stopTokenIds.includes(last)) return { finishReason: "stop", stopReason: last }
  if (tokenIds.length >= maxModelLen || numOutputTokens >= sampling.maxTokens) return LENGTH
  if (numOutputTokens < sampling.minTokens || sampling.repetitionDetection === null) return null
  return endsInRepetition(tokenIds, request.numPromptTokens, sampling.repetitionDetection) ? REPETITION : null
}

/** Whether the tail of `tokenIds[start, end)` is one pattern of an allowed size, `minCount` times in a row. */
export function endsInRepetition(
  tokenIds: TokenSequence,
  start: number,
  params: RepetitionDetectionParams,
): boolean {
  const { maxPatternSize, minCount } = params
  const minPatternSize = Math.max(1, params.minPatternSize)
  if (maxPatternSize <= 0 || minCount < 2 || minPatternSize > maxPatternSize) return false
  const length = tokenIds.length - start
  for (let size = minPatternSize; size <= maxPatternSize && size * minCount <= length; size++) {
    if (tailRepeats(tokenIds, size, minCount)) return true
  }
  return false
}

/** Whether each of the last `size * (count - 1)` tokens equals the one `size` before it. */
function tailRepeats(tokenIds: TokenSequence, size: number, count: number): boolean {
  const end = tokenIds.length
  for (let i = end - size * (count - 1); i < end; i++) {
    if (tokenIds.at(i) !== tokenIds.at(i - size)) return false
  }
  return true
}
