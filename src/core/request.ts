/**
 * One generation and where it stands.
 *
 *              admit                 finish
 *   waiting ----------> running ----------------> finished
 *                        |   ^                       ^
 *                preempt |   | admit                 | finish (abort, or a token that was in flight)
 *                        v   |                       |
 *                      preempted --------------------+      waiting -> finished too (abort)
 *
 *   waiting     no blocks; computed = 0; no outputs
 *   running     blocks cover [0, planned); computed <= tokens + drafts
 *   preempted   no blocks; computed = 0; outputs are kept, and computed again after it is admitted
 *   finished    no blocks; `finishReason` is set; nothing changes any more
 *
 * `numComputedTokens` moves when a step is *planned*, not when its result arrives; a result corrects it where drafts
 * were rejected. The scheduler alone changes a request.
 */
import { assert } from "../base/assert.ts"
import type { FinishReason, PrefillStats, RequestEvent } from "./engine-core-output.ts"
import type { BlockHash, EncoderInput, ExtraKey } from "./kv/block-hash.ts"
import type { PrefixHit } from "./kv/kv-manager.ts"
import { PromptLogprobs } from "./prompt-logprobs.ts"
import type { SamplingParams } from "./sampling-params.ts"
import { TokenList } from "./token-list.ts"

export type RequestStatus = "waiting" | "running" | "preempted" | "finished"

/**
 * What a waiting request may wait for beside room; until then it is passed over.
 *   grammar       its grammar is being compiled
 *   stale_output  results of steps before its preemption are on their way, and may end it
 *   remote_kv     its KV is being loaded from elsewhere
 */
export type BlockedReason = "grammar" | "stale_output" | "remote_kv"

export interface RequestInit {
  readonly requestId: string
  /** Shared with the caller: must not change while the request lives. */
  readonly promptTokenIds: readonly number[]
  readonly sampling: SamplingParams
  /** Lower is earlier; read by the priority policy alone. */
  readonly priority?: number
  /** Seconds; any clock, the same for all requests. */
  readonly arrivalTime: number
  /** Requests share cached prefixes only with requests of the same salt. */
  readonly cacheSalt?: string | null
  /** Keys that separate all this request's cached blocks from others', such as its adapter. */
  readonly extraHashKeys?: readonly ExtraKey[]
  /** The adapter that its tokens are computed with; its cached blocks are distinguished by `extraHashKeys`. */
  readonly adapter?: string | null
  /** Each of its steps needs what the host makes of the one before: a mask, a draft. So it is not planned ahead. */
  readonly waitsForHost?: boolean
  /** In order of position, apart from each other. */
  readonly encoderInputs?: readonly EncoderInput[]
  /** Tokens of the encoder's output that its cross attention reads. */
  readonly numEncoderTokens?: number
  /** One array for all requests of one prompt with equal keys, so that its blocks are named once. */
  readonly promptHashes?: BlockHash[]
  /** What it has to wait for before it is admitted; `Scheduler.unblock` says when it is there. */
  readonly blockedBy?: readonly BlockedReason[]
}

const NO_REASONS: readonly BlockedReason[] = []
const NO_KEYS: readonly ExtraKey[] = []
const NO_INPUTS: readonly EncoderInput[] = []
const NO_INDICES: readonly number[] = []
const NO_DRAFTS: readonly number[] = []
const NO_EVENTS: readonly RequestEvent[] = []

export class Request {
  readonly requestId: string
  readonly sampling: SamplingParams
  readonly priority: number
  readonly arrivalTime: number
  readonly cacheSalt: string | null
  readonly extraHashKeys: readonly ExtraKey[]
  readonly adapter: string | null
  readonly waitsForHost: boolean
  readonly numEncoderTokens: number
  readonly encoderInputs: readonly EncoderInput[]
  /** Prompt, then outputs; only grows. */
  readonly tokenIds: TokenList
  readonly numPromptTokens: number
  /** Names of the first full blocks; grows with `tokenIds`. */
  readonly blockHashes: BlockHash[] = []
  readonly promptHashes: BlockHash[]
  /** Null when they were not asked for. */
  readonly promptLogprobs: PromptLogprobs | null

  status: RequestStatus = "waiting"
  finishReason: FinishReason | null = null
  stopReason: number | string | null = null

  numComputedTokens = 0
  /** Tokens whose KV was found in the cache at admission; those that are computed all the same are not written. */
  numCachedTokens = 0
  /** Inputs that begin before this position have been encoded since its admission. */
  #encodedEnd = 0
  /** Proposed by a drafter for the next step. */
  draftTokenIds: readonly number[] = NO_DRAFTS
  /** Tokens in steps that were planned and whose results have not come back. */
  numInFlightTokens = 0
  /** Output tokens that steps in flight bring: one each that samples. Drafts that turn out right come on top. */
  numPlaceholders = 0
  /** Tokens in flight that were planned before the last preemption: their results must not move `numComputedTokens`. */
  numStaleTokens = 0
  /** What becomes of stale results: dropped, or (default) delivered like any other. */
  dropsStaleOutput = false
  /** The last planned step did not reach the end of the tokens. */
  isPrefillChunk = false
  /**
   * It is computed without cached prefixes and leaves none: what was computed before was not finite, and the cause may
   * have been in blocks that it shared.
   */
  isComputedApart = false
  numPreemptions = 0
  /** Its place in line under first come, first served. The queue alone sets it. */
  queueRank = 0

  #blockedReasons: readonly BlockedReason[]
  #events: RequestEvent[] | null = null
  #prefillStats: PrefillStats | null = null

  constructor(init: RequestInit) {
    this.requestId = init.requestId
    this.sampling = init.sampling
    this.priority = init.priority ?? 0
    this.arrivalTime = init.arrivalTime
    this.cacheSalt = init.cacheSalt ?? null
    this.extraHashKeys = init.extraHashKeys ?? NO_KEYS
    this.adapter = init.adapter ?? null
    this.waitsForHost = init.waitsForHost ?? false
    this.numEncoderTokens = init.numEncoderTokens ?? 0
    this.encoderInputs = init.encoderInputs ?? NO_INPUTS
    this.tokenIds = new TokenList(init.promptTokenIds)
    this.numPromptTokens = init.promptTokenIds.length
    this.promptHashes = init.promptHashes ?? []
    this.#blockedReasons = init.blockedBy ?? NO_REASONS
    const numTop = init.sampling.promptLogprobs
    this.promptLogprobs = numTop === null ? null : new PromptLogprobs(this.numPromptTokens, numTop)
  }

  get numTokens(): number {
    return this.tokenIds.length
  }

  get numOutputTokens(): number {
    return this.tokenIds.length - this.numPromptTokens
  }

  /** With those that steps in flight bring. */
  get numTokensPlanned(): number {
    return this.tokenIds.length + this.numPlaceholders
  }

  /**
   * Where the next step may end: tokens that steps in flight bring can be computed before they are known here, unless
   * something has to be done with them first, or they are the last. (Drafts in flight count as computed, so that behind
   * them there is nothing to compute.)
   */
  get plannableEnd(): number {
    if (this.numPlaceholders === 0) return this.tokenIds.length + this.draftTokenIds.length
    const isEnding = this.numOutputTokens + this.numPlaceholders >= this.sampling.maxTokens
    return this.waitsForHost || isEnding ? this.tokenIds.length : this.numTokensPlanned
  }

  /** The first position whose output is needed: the last token's, or one that gives a prompt log-probability. */
  get firstNeededPosition(): number {
    const wanted = this.promptLogprobs
    return wanted === null || wanted.isComplete ? this.tokenIds.length - 1 : wanted.numKnown - 1
  }

  /** It waits for nothing but its next token: all but the last one is computed, or being computed. */
  get isCaughtUp(): boolean {
    return this.numTokensPlanned - this.numComputedTokens <= 1
  }

  get isFinished(): boolean {
    return this.status === "finished"
  }

  get blockedReasons(): readonly BlockedReason[] {
    return this.#blockedReasons
  }

  get isBlocked(): boolean {
    return this.#blockedReasons.length > 0
  }

  unblock(reason: BlockedReason): void {
    this.#blockedReasons = this.#blockedReasons.filter((other) => other !== reason)
  }

  appendOutputToken(tokenId: number): void {
    this.tokenIds.push(tokenId)
  }

  /** What a step has sampled is here; `numRejected` of its drafts were wrong. */
  settle(numRejected: number): void {
    this.numPlaceholders -= 1
    this.numComputedTokens -= numRejected
  }

  clearDrafts(): void {
    this.draftTokenIds = NO_DRAFTS
  }

  encoderInput(index: number): EncoderInput {
    const input = this.encoderInputs[index]
    assert(input !== undefined, () => `${this.requestId}: encoder input ${index} of ${this.encoderInputs.length}`)
    return input
  }

  /** Indices of the inputs that a step over [start, start + numTokens) has to encode. */
  encoderInputsIn(start: number, numTokens: number): readonly number[] {
    if (this.encoderInputs.length === 0) return NO_INDICES
    const indices: number[] = []
    for (const [i, { offset, numTokens: size }] of this.encoderInputs.entries()) {
      const isTouched = offset < start + numTokens && offset + size > start
      if (isTouched && offset >= this.#encodedEnd) indices.push(i)
    }
    return indices
  }

  /** A step is planned: its tokens count as computed from now on. */
  advance(step: { numScheduledTokens: number; samples: boolean }): void {
    this.numComputedTokens += step.numScheduledTokens
    this.numInFlightTokens += step.numScheduledTokens
    this.isPrefillChunk = !step.samples
    if (step.samples) this.numPlaceholders += 1
    this.#encodedEnd = this.numComputedTokens
  }

  admit(hit: PrefixHit): void {
    assert(this.status === "waiting" || this.status === "preempted", () => `${this.requestId} is ${this.status}`)
    const numComputedTokens = hit.numSkippedTokens
    this.status = "running"
    this.numComputedTokens = numComputedTokens
    this.numCachedTokens = hit.numTokens
    if (this.numPreemptions > 0) return
    const numPromptTokens = this.numPromptTokens
    const numCachedTokens = numComputedTokens
    this.#prefillStats = { numPromptTokens, numCachedTokens, numComputedTokens: numPromptTokens - numCachedTokens }
  }

  /** Back to the start of its computation. `dropsInFlight`: what is in flight must not be delivered any more. */
  preempt(dropsInFlight: boolean): void {
    assert(this.status === "running", () => `${this.requestId} is ${this.status}`)
    this.status = "preempted"
    this.numComputedTokens = 0
    this.numCachedTokens = 0
    this.#encodedEnd = 0
    this.numPlaceholders = 0
    this.clearDrafts()
    this.dropsStaleOutput = dropsInFlight || (this.dropsStaleOutput && this.numStaleTokens > 0)
    this.numStaleTokens = this.numInFlightTokens
    const isBlocked = this.numStaleTokens > 0 && !this.dropsStaleOutput
    if (isBlocked) this.#blockedReasons = [...this.#blockedReasons, "stale_output"]
    this.numPreemptions += 1
  }

  finish(reason: FinishReason, stopReason: number | string | null = null): void {
    assert(!this.isFinished, () => `${this.requestId} is finished`)
    this.status = "finished"
    this.finishReason = reason
    this.stopReason = stopReason
  }

  recordEvent(type: RequestEvent["type"], timestamp: number): void {
    this.#events ??= []
    this.#events.push({ type, timestamp })
  }

  /** The events since the last call. */
  takeEvents(): readonly RequestEvent[] {
    const events = this.#events ?? NO_EVENTS
    this.#events = null
    return events
  }

  /** How the prompt was computed, once. */
  takePrefillStats(): PrefillStats | null {
    const stats = this.#prefillStats
    this.#prefillStats = null
    return stats
  }
}
