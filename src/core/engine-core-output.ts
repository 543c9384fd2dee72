import type { RequestFailure, TokenLogprobs } from "./schedule-plan.ts"

/** Why a request ended, in the words of the API. */
export type FinishReason = "stop" | "length" | "abort" | "error" | "repetition"

/** Something that happened to a request; `timestamp` is the injected clock's. */
export interface RequestEvent {
  readonly type: "queued" | "scheduled" | "preempted"
  readonly timestamp: number
}

/** How a request's prompt was computed: `numCachedTokens + numComputedTokens = numPromptTokens`. */
export interface PrefillStats {
  readonly numPromptTokens: number
  readonly numCachedTokens: number
  readonly numComputedTokens: number
}

/** A draft that a step verified. */
export interface DraftResult {
  readonly numTokens: number
  readonly numAccepted: number
}

/** What one step brought for one request. */
export interface EngineCoreOutput {
  readonly requestId: string
  readonly newTokenIds: readonly number[]
  /** One entry a new token, for requests that asked. */
  readonly logprobs: readonly TokenLogprobs[] | null
  /** One entry a prompt token but the first, on the request's first output; null when not asked for. */
  readonly promptLogprobs: readonly TokenLogprobs[] | null
  /** Why it could not go on, where `finishReason` is "error"; else absent. */
  readonly failure?: RequestFailure
  /** Null while the request goes on. */
  readonly finishReason: FinishReason | null
  /** The stop token id, or "repetition_detected"; null for the end-of-sequence token and other reasons. */
  readonly stopReason: number | string | null
  /** Since the request's last output. */
  readonly events: readonly RequestEvent[]
  /** On the request's first output only. */
  readonly prefillStats: PrefillStats | null
  /** Null without a draft. */
  readonly draft: DraftResult | null
}
