import type { FinishReason } from "../core/engine-core-output.ts"

/**
 * The life of one generation (one choice of a request) in figures; a null time is one that it never reached.
 *
 * Definitions: queue = first scheduled - queued, prefill = first token - scheduled, decode = last - first token,
 * inference = last token - scheduled: all on the core's clock. Time to first token and end to end are on the front's
 * clock, from arrival. Preemption changes none of these starting points. Times are seconds.
 */
export interface FinishedRequest {
  readonly reason: FinishReason
  readonly numPromptTokens: number
  readonly numGenerationTokens: number
  readonly numCachedTokens: number
  readonly numPreemptions: number
  readonly maxTokens: number
  /** Front-end clock, as the two below. */
  readonly arrivalTime: number
  readonly firstOutputTime: number | null
  readonly finishTime: number
  /** Core's clock, as the three below. */
  readonly queuedTime: number | null
  readonly scheduledTime: number | null
  readonly firstTokenTime: number | null
  readonly lastTokenTime: number | null
  /** Null without drafts. */
  readonly drafts: DraftCounts | null
}

/** Drafts verified for one generation. */
export interface DraftCounts {
  readonly numDrafts: number
  readonly numDraftTokens: number
  readonly numAcceptedTokens: number
}

/** Seconds; null where the generation did not get that far. */
export interface RequestTimes {
  readonly queue: number | null
  readonly prefill: number | null
  readonly decode: number | null
  readonly inference: number | null
  /** From arrival. */
  readonly firstToken: number | null
  readonly endToEnd: number
}

export function requestTimes(request: FinishedRequest): RequestTimes {
  const { queuedTime, scheduledTime, firstTokenTime, lastTokenTime, arrivalTime, firstOutputTime } = request
  return {
    queue: between(queuedTime, scheduledTime),
    prefill: between(scheduledTime, firstTokenTime),
    decode: between(firstTokenTime, lastTokenTime),
    inference: between(scheduledTime, lastTokenTime),
    firstToken: between(arrivalTime, firstOutputTime),
    endToEnd: request.finishTime - arrivalTime,
  }
}

function between(from: number | null, to: number | null): number | null {
  return from === null || to === null ? null : to - from
}
