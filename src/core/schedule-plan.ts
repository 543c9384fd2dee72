/**
 * The only contract between the scheduler (core) and the model runner (exec): what one step computes, and what came
 * out of it.
 *
 * Token ranges of one request in a plan:
 *   [0, numComputedTokens)                 KV valid, or being written by an earlier step still in flight
 *   [0, numCachedTokens)                   KV found in the cache: never written, even where it is computed
 *   [numComputedTokens, + numScheduled)    this step computes these; their blocks are in `blockIds`
 *   the last draftTokenIds.length of them  draft tokens, not in `tokenIds`
 *   numUnknownTokens before those          sampled by a step in flight: not in `tokenIds` when the step is planned
 *
 * `tokenIds` and `blockIds` are live views of the request's own arrays: the runner reads them during the step they
 * were planned for and keeps no reference past `StepResult`. Between two steps of a running request both only grow.
 */
import type { SamplingParams } from "./sampling-params.ts"
import type { TokenSequence } from "./token-list.ts"

/** The tokens [first, end). */
export interface TokenRange {
  readonly first: number
  readonly end: number
}

export interface ScheduledRequest {
  readonly requestId: string
  /** First time in the runner, or resumed after preemption: the runner builds its row from tokenIds and blockIds. */
  readonly isNew: boolean
  /** Prompt, then outputs. */
  readonly tokenIds: TokenSequence
  readonly numPromptTokens: number
  /** Before this step. */
  readonly numComputedTokens: number
  readonly numScheduledTokens: number
  /** From the start; those of them that this step computes are wanted for their outputs alone. */
  readonly numCachedTokens: number
  /** Prompt tokens whose log-probabilities this step gives, by the outputs of the positions before them. */
  readonly promptLogprobs: TokenRange | null
  /** Scheduled tokens that an earlier step in flight brings; the runner has their ids before the scheduler. 0 or 1. */
  readonly numUnknownTokens: number
  /** Proposed tokens at the end of the scheduled range; -1 is a placeholder that the verifier always rejects. */
  readonly draftTokenIds: readonly number[]
  /** Block table; 0 is the null block (a position nobody will read again). Covers [0, computed + scheduled). */
  readonly blockIds: readonly number[]
  /** The block table of each KV cache group; the first is `blockIds`. A model of one kind of attention has one. */
  readonly blockIdsByGroup: readonly (readonly number[])[]
  /** This step reaches the end of `tokenIds`, so a token is sampled (and drafts are verified). */
  readonly samples: boolean
  readonly sampling: SamplingParams
  /** The adapter of all its tokens, or null. */
  readonly adapter: string | null
  /** Indices of the request's encoder inputs that this step encodes, before anything reads their embeddings. */
  readonly encodes: readonly number[]
}

export interface SchedulePlan {
  /** Counts from 1. */
  readonly step: number
  readonly requests: readonly ScheduledRequest[]
  readonly totalNumScheduledTokens: number
  /** Finished since the last plan: the runner drops their rows. */
  readonly finishedRequestIds: readonly string[]
  /**
   * Preempted since the last plan: the runner drops their rows before it reads `requests`, where they come back as
   * `isNew`. An id may be in both lists, or be unknown to the runner by now.
   */
  readonly preemptedRequestIds: readonly string[]
}

/** A token's log-probability among those it was chosen from, with the top-k by descending log-probability. */
export interface TokenLogprobs {
  tokenId: number
  logprob: number
  /** 1 is the likeliest: the number of tokens at least as likely as this one. */
  rank: number
  topIds: number[]
  topLogprobs: number[]
}

export interface RequestFailure {
  readonly message: string
  /** What it asked for was wrong. */
  readonly isCallersFault: boolean
  /** What was computed for it holds values that are not finite, so its part of the KV cache must not be reused. */
  readonly spoilsCache?: boolean
}

/** Keys are request ids. A request that did not sample in the step has no entry, or an empty one. */
export interface StepResult {
  /** One token, or with drafts the accepted ones and one more. */
  sampledTokenIds: Map<string, number[]>
  /** One entry a sampled token, for requests that asked. */
  logprobs: Map<string, TokenLogprobs[]>
  /** One entry a token of `ScheduledRequest.promptLogprobs`. */
  promptLogprobs: Map<string, TokenLogprobs[]>
  /** Requests that cannot go on, for no fault of the engine; they have no other entry that counts. Absent: none. */
  failures?: Map<string, RequestFailure>
}
