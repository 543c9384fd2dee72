/**
 * Decides what each step computes, and takes in what came out.
 *
 * There are no phases of a request. Each step lets every request's computed tokens catch up with its tokens, within
 * one token budget: first the running ones in order of admission, then as many waiting ones as fit. Chunked prefill,
 * decode, prefix hits, drafts and resumption after preemption are all that one rule.
 *
 * Invariants after every call:
 *   1. a request is in `running` or in `waiting`, never both, iff it is in `requests`;
 *   2. exactly the running requests hold blocks;
 *   3. a plan's tokens fit the budget, and at most `maxNumSeqs` requests run.
 * Several plans may be in flight; results come back in the order of their plans. A token that a step in flight brings
 * can be computed by the next one before anybody here knows it (`ScheduledRequest.numUnknownTokens`).
 * Out of room, the newest request (or the least important one) is preempted: its blocks are freed and it is computed
 * again later. A step that preempted admits nobody, so that two requests cannot keep evicting each other.
 * A request whose numbers are not finite is computed a second time, apart from all others: without cached prefixes and
 * leaving none. The cause may have been in blocks that it shared; only if it fails again is it the request's own.
 * Source: the behaviour of vLLM V1's scheduler.
 */
import { assert } from "../base/assert.ts"
import { makeConstraints, type StateBlocks } from "./constraints/make-constraints.ts"
import type { StepConstraint } from "./constraints/step-constraint.ts"
import type { DraftResult, EngineCoreOutput, FinishReason } from "./engine-core-output.ts"
import type { BlockObserver } from "./kv/block-observer.ts"
import type { BlockResidency } from "./kv/block-residency.ts"
import { KVManager } from "./kv/kv-manager.ts"
import type { KVCacheConfig } from "./kv/kv-spec.ts"
import { PlanDraft } from "./plan-draft.ts"
import { PromptLogprobsCache } from "./prompt-logprobs-cache.ts"
import type { BlockedReason, Request } from "./request.ts"
import { type CompareRequests, comparisonByPriority, RequestQueue } from "./request-queue.ts"
import type { RequestFailure, ScheduledRequest, SchedulePlan, StepResult } from "./schedule-plan.ts"
import type { SchedulerConfig } from "./scheduler-config.ts"
import { type SchedulerStats, StatsCounters } from "./scheduler-stats.ts"
import { checkStop } from "./stop.ts"

/** `paused_new` admits nobody; `paused_all` freezes the running requests too. New requests queue up in all states. */
export type PauseState = "unpaused" | "paused_new" | "paused_all"

export interface SchedulerDeps {
  /** Seconds, monotonic; read for the timestamps of events alone. */
  readonly clock: () => number
  /** Watches how long blocks keep what they hold, where somebody wants to know. */
  readonly residency?: BlockResidency
  /** Hear of the KV cache's blocks too. */
  readonly observers?: readonly BlockObserver[]
}

const NO_IDS: readonly string[] = []
const NO_TOKENS: readonly number[] = []

export class Scheduler {
  readonly config: SchedulerConfig
  readonly #kv: KVManager
  readonly #clock: () => number
  readonly #residency: BlockResidency | null
  readonly #constraints: readonly StepConstraint[]
  readonly #promptLogprobs: PromptLogprobsCache

  readonly #requests = new Map<string, Request>()
  readonly #compare: CompareRequests
  readonly #waiting: RequestQueue
  /** In order of admission. */
  #running: Request[] = []
  #pause: PauseState = "unpaused"
  /** Running requests that the step being taken in has found not finite. */
  readonly #spoiled: Request[] = []

  #step = 0
  /** Since the last plan. */
  #finishedIds: string[] = []
  #preemptedIds: string[] = []
  #counters = new StatsCounters()

  constructor(config: SchedulerConfig, kv: KVCacheConfig, deps: SchedulerDeps) {
    const { maxModelLen, maxNumBatchedTokens, watermark } = config
    this.config = config
    const observers = [...(deps.residency === undefined ? [] : [deps.residency]), ...(deps.observers ?? [])]
    this.#kv = new KVManager({ ...kv, maxModelLen, maxNumBatchedTokens, watermark }, observers)
        this.#clock = deps.clock
    this.#residency = deps.residency ?? null
    this.#constraints = makeConstraints(config, stateBlocksOf(kv, this.#kv.enablesPrefixCaching))
    const maxBytes = this.#kv.enablesPrefixCaching ? config.promptLogprobsCacheBytes : 0
    this.#promptLogprobs = new PromptLogprobsCache({ blockSize: this.#kv.blockSize, maxBytes })
    this.#compare = comparisonByPriority(config.priorityAgeingSeconds)
    this.#waiting = new RequestQueue(config.policy, this.#compare)
  }

  /** Queues a request. Requires: a live id only once, a prompt, and room for one more token. */
  addRequest(request: Request): void {
    const { requestId, numPromptTokens } = request
    assert(!this.#requests.has(requestId), () => `request ${requestId} is already here`)
    assert(numPromptTokens > 0, () => `request ${requestId} has no prompt`)
    assert(numPromptTokens < this.config.maxModelLen, () => `request ${requestId}: prompt of ${numPromptTokens} tokens`)
    request.recordEvent("queued", this.#clock())
    this.#requests.set(requestId, request)
    this.#waiting.add(request)
  }

  /**
   * Ends requests from outside, whatever they are doing, and frees their blocks at once; results still in flight for
   * them are ignored. Null ends all. Ids that are unknown or finished are ignored. Returns those that it ended.
   */
  finishRequests(ids: string | readonly string[] | null, reason: FinishReason): Request[] {
    const finished: Request[] = []
    for (const id of ids === null ? [...this.#requests.keys()] : typeof ids === "string" ? [ids] : ids) {
      const request = this.#requests.get(id)
      if (request === undefined) continue
      request.finish(reason)
      this.#release(request)
      finished.push(request)
    }
    this.#removeFromQueues(finished)
    return finished
  }

  /** What the request waited for is there. Ids that are unknown are ignored, as are reasons that it does not have. */
  unblock(requestId: string, reason: BlockedReason): void {
    const request = this.#requests.get(requestId)
    if (request === undefined) return
    request.unblock(reason)
    this.#waiting.release(request)
  }

  /** Ends a request that cannot go on, such as one whose grammar is wrong; null: it is not here. */
  failRequest(requestId: string, failure: RequestFailure): EngineCoreOutput | null {
    const request = this.#requests.get(requestId)
    if (request === undefined) return null
    const output = this.#fail(request, failure)
    this.#removeFromQueues([request])
    return output
  }

  /**
   * Plans the next step; an empty plan when there is nothing to compute. Beside requests that wait for nothing but
   * their next token, at most `maxPromptTokens` tokens of others are computed: more would keep the former waiting.
   */
  schedule(maxPromptTokens = Infinity): SchedulePlan {
    assert(maxPromptTokens >= 1, () => `${maxPromptTokens} prompt tokens a step`)
    this.#step += 1
    this.#kv.newStep()
    const numRequests = this.#running.length + this.#waiting.size
    const isDecoding = this.#running.some((request) => request.isCaughtUp)
    const isFrozen = this.#pause === "paused_all"
    for (const limit of this.#constraints) limit.begin({ isFrozen, isDecoding, numRequests, maxPromptTokens })
    const draft = new PlanDraft(this.#constraints)
    const hasPreempted = this.#scheduleRunning(draft)
    if (!hasPreempted && this.#pause === "unpaused") this.#scheduleWaiting(draft)
    return this.#commit(draft)
  }

  /** Takes in a step's result. `plan` is the oldest one whose result has not been taken in. */
  updateFromOutput(plan: SchedulePlan, result: StepResult): EngineCoreOutput[] {
    const outputs: EngineCoreOutput[] = []
    const finished: Request[] = []
    for (const scheduled of plan.requests) {
      const request = this.#requests.get(scheduled.requestId)
      // Finished while the step ran. (Another request of the same id has other token ids.)
      if (request === undefined || request.tokenIds !== scheduled.tokenIds) continue
      const output = this.#updateRequest(request, scheduled, result)
      if (output === null) continue
      outputs.push(output)
      if (request.isFinished) finished.push(request)
    }
    if (finished.length > 0) this.#removeFromQueues(finished)
    this.#preemptSpoiled()
    return outputs
  }

  /**
   * Proposals for the next step, by request id. Dropped where they can't follow the request's last token: it is gone,
   * in mid-prompt, or another step of it is in flight.
   */
  updateDraftTokens(drafts: ReadonlyMap<string, readonly number[]>): void {
    for (const [id, draftTokenIds] of drafts) {
      const request = this.#requests.get(id)
      if (request === undefined || request.status !== "running") continue
      if (request.isPrefillChunk || request.numInFlightTokens > 0) continue
      request.draftTokenIds = draftTokenIds
    }
  }

  /** Whether any request could go on in the present pause state; a blocked one cannot. */
  hasUnfinishedRequests(): boolean {
    if (this.#pause === "paused_all") return false
    return this.#running.length > 0 || (this.#pause === "unpaused" && this.#waiting.peek() !== null)
  }

  /** Whether a step is due: requests to compute, or finished ones that the runner has not been told of. */
  hasWork(): boolean {
    return this.#finishedIds.length > 0 || this.hasUnfinishedRequests()
  }

  setPause(state: PauseState): void {
    this.#pause = state
  }

  /**
   * Forgets all cached prefixes. False, with nothing changed, while requests hold blocks, unless `resetRunning`:
   * then the running requests are preempted first, to be computed anew, and what is in flight for them is dropped.
   */
  resetPrefixCache(resetRunning = false): boolean {
    if (resetRunning) {
      // From the back, so that they line up again in the order in which they were admitted.
      for (let last = this.#running.pop(); last !== undefined; last = this.#running.pop()) this.#preempt(last, true)
    }
    const isReset = this.#kv.resetPrefixCache()
    assert(isReset || !resetRunning, "blocks are in use though nothing runs")
    if (isReset) this.#promptLogprobs.clear()
    return isReset
  }

  /** Share of the KV cache's blocks in use, 0 to 1. */
  get kvCacheUsage(): number {
    return this.#kv.pool.usage
  }

  /** The blocks that will be taken next, in that order: `count` of them where so many are free. */
  nextFreeBlocks(count: number): number[] {
    return this.#kv.pool.nextFree(count)
  }

  /** The counts since the last call, and the present state. Whoever calls it owns the counts: have one caller. */
  makeStats(): SchedulerStats {
    const counters = this.#counters
    this.#counters = new StatsCounters()
    return {
      numRunning: this.#running.length,
      numWaiting: this.#waiting.size - this.#waiting.numBlocked,
      numDeferred: this.#waiting.numBlocked,
      numBlocked: this.#waiting.countBlocked(),
      kvCacheUsage: this.kvCacheUsage,
      numPreemptions: counters.numPreemptions,
      prefixCache: counters.prefixCache,
      promptTokens: counters.promptTokens,
      numGenerationTokens: counters.numGenerationTokens,
      numIterationTokens: counters.promptTokens.localCompute + counters.numGenerationTokens,
      specDecoding: counters.specDecoding,
      ...(this.#residency === null ? {} : { evictions: this.#residency.takeEvictions() }),
    }
  }

  /** Checks every invariant; its cost grows with the pool and the queues. */
  verify(): void {
    const waiting = new Set(this.#waiting)
    assert(waiting.size === this.#waiting.size, "a request waits twice")
    assert(new Set(this.#running).size === this.#running.length, "a request runs twice")
    assert(this.#running.length <= this.config.maxNumSeqs, () => `${this.#running.length} requests run`)
    assert(this.#running.length + waiting.size === this.#requests.size, "a request is neither waiting nor running")
    for (const request of this.#requests.values()) {
      const { requestId, status } = request
      assert((status === "running") !== waiting.has(request), () => `request ${requestId} is ${status}`)
      assert(status !== "finished", () => `request ${requestId} is finished and still here`)
      assert(status === "running" || request.numComputedTokens === 0, () => `request ${requestId} has computed tokens`)
    }
    this.#waiting.verify()
    this.#kv.verify(this.#running.length)
  }

  /** The KV manager. For tests, which look at blocks. */
  get kv(): KVManager {
    return this.#kv
  }

  /** Lets running requests catch up, oldest first. Returns whether any was preempted for want of blocks. */
  #scheduleRunning(draft: PlanDraft): boolean {
    let hasPreempted = false
    for (let i = 0; i < this.#running.length; i++) {
      const request = this.#running[i] as Request
      const start = request.numComputedTokens
      // The last position is left for the token that this step samples.
      const end = Math.min(request.plannableEnd, this.config.maxModelLen - 1)
      const numNewTokens = draft.clip(request, start, end - start)
      // Nothing to do until a step in flight brings its token. Others may have something to do.
      if (numNewTokens <= 0) continue

      let hasRoom = this.#kv.allocateSlots(request, numNewTokens)
      while (!hasRoom) {
        hasPreempted = true
        const victim = this.#takeVictim(draft)
        if (victim === request) break
        hasRoom = this.#kv.allocateSlots(request, numNewTokens)
      }
      // Not even the last resort helped, so it will not help those after it either.
      if (!hasRoom) break
      if (hasPreempted) i = this.#running.indexOf(request)
      this.#planRequest(draft, request, numNewTokens, false)
    }
    return hasPreempted
  }

  /**
   * Preempts the running request that gives way first, and takes back what this step had planned for it. By priority
   * that is the last in the waiting line's own total order: requests of one arrival time could else preempt each other
   * for ever.
   */
  #takeVictim(draft: PlanDraft): Request {
    let index = this.#running.length - 1
    if (this.config.policy === "priority") {
      index = 0
      for (let i = 1; i < this.#running.length; i++) {
        if (this.#compare(this.#running[i] as Request, this.#running[index] as Request) > 0) index = i
      }
    }
    const [victim] = this.#running.splice(index, 1)
    assert(victim !== undefined, "nobody runs, and blocks are short")
    if (draft.takeBack(victim)) this.#kv.uncacheUncomputed(victim)
    this.#preempt(victim, false)
    return victim
  }

  /**
   * Admits waiting requests in order while the constraints, room and places last. Nobody overtakes the head of the line
   * but where a constraint passes over it.
   */
  #scheduleWaiting(draft: PlanDraft): void {
    const passedOver: Request[] = []
    while (this.#running.length < this.config.maxNumSeqs) {
      const request = this.#waiting.peek()
      if (request === null) break
      const verdict = draft.admits(request)
      if (verdict === "pass_over") passedOver.push(this.#waiting.pop())
      else if (verdict === "stop" || !this.#admit(draft, request)) break
    }
    for (const request of passedOver) this.#waiting.putBack(request)
  }

  /** Admits a waiting request. False when it does not fit: then nothing has changed. */
  #admit(draft: PlanDraft, request: Request): boolean {
    this.#promptLogprobs.recall(request)
    const hit = this.#kv.findPrefixHit(request)
    const start = hit.numSkippedTokens
    const numNewTokens = draft.clip(request, start, request.numTokens - start)
    if (numNewTokens === 0) return false
    const fullSequenceMustFit = this.config.schedulerReserveFullIsl
    const keepsWatermark = this.#running.length > 0
    if (!this.#kv.admit(request, numNewTokens, { hit, fullSequenceMustFit, keepsWatermark })) return false

    if (this.#kv.enablesPrefixCaching) {
      const wasPreempted = request.numPreemptions > 0
      const numHits = hit.numSkippedTokens
      this.#counters.recordPrefixLookup({ numTokens: request.numTokens, numHits, wasPreempted })
    }
    this.#waiting.remove(request)
    this.#running.push(request)
    request.recordEvent("scheduled", this.#clock())
    request.admit(hit)
    this.#planRequest(draft, request, numNewTokens, true)
    return true
  }

  #planRequest(draft: PlanDraft, request: Request, numScheduledTokens: number, isNew: boolean): void {
    const { requestId, tokenIds, numPromptTokens, numComputedTokens, sampling } = request
    const numDrafts = numComputedTokens + numScheduledTokens - request.numTokensPlanned
    const draftTokenIds = numDrafts > 0 ? request.draftTokenIds.slice(0, numDrafts) : NO_TOKENS
    request.clearDrafts()
    const blockIdsByGroup = this.#kv.blockIdsByGroup(requestId)
    draft.add(request, {
      requestId,
      isNew,
      tokenIds,
      numPromptTokens,
      numComputedTokens,
      numScheduledTokens,
      numCachedTokens: request.numCachedTokens,
      promptLogprobs: request.promptLogprobs?.wantedFrom(numComputedTokens, numScheduledTokens) ?? null,
      numUnknownTokens: Math.max(0, request.numTokensPlanned - Math.max(tokenIds.length, numComputedTokens)),
      draftTokenIds,
      blockIds: blockIdsByGroup[0] ?? NO_TOKENS,
      blockIdsByGroup,
      samples: numDrafts >= 0,
      sampling,
      adapter: request.adapter,
      encodes: request.encoderInputsIn(numComputedTokens, numScheduledTokens),
    })
  }

  /** Counts the planned tokens as computed, so that the next step can be planned before this one's result is here. */
  #commit(draft: PlanDraft): SchedulePlan {
    for (const [i, request] of draft.requests.entries()) {
      request.advance(draft.scheduled[i] as ScheduledRequest)
    }
    const plan: SchedulePlan = {
      step: this.#step,
      requests: draft.scheduled,
      totalNumScheduledTokens: draft.totalNumScheduledTokens,
      finishedRequestIds: this.#finishedIds.length > 0 ? this.#finishedIds : NO_IDS,
      preemptedRequestIds: this.#preemptedIds.length > 0 ? this.#preemptedIds : NO_IDS,
    }
    if (this.#finishedIds.length > 0) this.#finishedIds = []
    if (this.#preemptedIds.length > 0) this.#preemptedIds = []
    return plan
  }

  /** What the step brought for one request, or null: nothing to tell. */
  #updateRequest(request: Request, scheduled: ScheduledRequest, result: StepResult): EngineCoreOutput | null {
    const { numScheduledTokens, draftTokenIds } = scheduled
    request.numInFlightTokens -= numScheduledTokens
    const isStale = request.numStaleTokens > 0
    if (isStale) this.#settleStale(request, numScheduledTokens)
    if (isStale && request.dropsStaleOutput) return null
    const failure = result.failures?.get(request.requestId) ?? null
    if (failure !== null) return this.#setApart(request, failure) ? null : this.#fail(request, failure)
    this.#recordPromptLogprobs(request, scheduled, result)

    const sampled = result.sampledTokenIds.get(request.requestId) ?? NO_TOKENS
    assert(scheduled.samples === sampled.length > 0, () => `${request.requestId}: ${sampled.length} tokens sampled`)
    assert(sampled.length <= draftTokenIds.length + 1, () => `${request.requestId}: ${sampled.length} tokens sampled`)
    if (sampled.length === 0) return null
    if (!isStale) request.settle(draftTokenIds.length + 1 - sampled.length)
    let draft: DraftResult | null = null
    if (draftTokenIds.length > 0) {
      const numAccepted = sampled.length - 1
      this.#counters.recordDraft(draftTokenIds.length, numAccepted)
      draft = { numTokens: draftTokenIds.length, numAccepted }
    }

    const newTokenIds = this.#appendUntilStop(request, sampled)
    this.#counters.numGenerationTokens += newTokenIds.length
    if (request.isFinished) this.#release(request)
    const prefillStats = request.takePrefillStats()
    if (prefillStats !== null) {
      this.#counters.promptTokens.localCompute += prefillStats.numComputedTokens
      this.#counters.promptTokens.localCacheHit += prefillStats.numCachedTokens
    }
    return {
      requestId: request.requestId,
      newTokenIds,
      logprobs: result.logprobs.get(request.requestId)?.slice(0, newTokenIds.length) ?? null,
      promptLogprobs: request.promptLogprobs?.take() ?? null,
      finishReason: request.finishReason,
      stopReason: request.stopReason,
      events: request.takeEvents(),
      prefillStats,
      draft,
    }
  }

  /** Forgets what a request has left in the cache that is not finite. True: it is to be computed once more, apart. */
  #setApart(request: Request, failure: RequestFailure): boolean {
    if (failure.spoilsCache !== true) return false
    this.#kv.forgetPrefix(request)
    if (request.isComputedApart) return false
    request.isComputedApart = true
    if (request.status === "running") this.#spoiled.push(request)
    else this.#dropStale(request)
    return true
  }

  /** A result from before the request's preemption is here; with the last one it may be admitted again. */
  #settleStale(request: Request, numTokens: number): void {
    request.numStaleTokens -= numTokens
    if (request.numStaleTokens === 0) this.unblock(request.requestId, "stale_output")
  }

  #dropStale(request: Request): void {
    request.dropsStaleOutput = request.numStaleTokens > 0
    this.unblock(request.requestId, "stale_output")
  }

  /** From the back, so that they line up again in the order in which they were planned. */
  #preemptSpoiled(): void {
    const spoiled = this.#spoiled.splice(0)
    if (spoiled.length === 0) return
    this.#running = this.#running.filter((request) => !spoiled.includes(request))
    for (const request of spoiled.reverse()) this.#preempt(request, true)
  }

  #fail(request: Request, failure: RequestFailure): EngineCoreOutput {
    request.finish("error")
    this.#release(request)
    const { requestId, finishReason, stopReason } = request
    const nothing = { newTokenIds: NO_TOKENS, logprobs: null, promptLogprobs: null, prefillStats: null, draft: null }
    return { requestId, ...nothing, finishReason, stopReason, events: request.takeEvents(), failure }
  }

  #recordPromptLogprobs(request: Request, scheduled: ScheduledRequest, result: StepResult): void {
    const range = scheduled.promptLogprobs
    if (range === null) return
    const entries = result.promptLogprobs.get(request.requestId) ?? []
    const numWanted = range.end - range.first
    assert(entries.length === numWanted, () => `${request.requestId}: ${entries.length} of ${numWanted} prompt tokens`)
    this.#promptLogprobs.record(request, range.first, entries)
  }

  /** Appends the sampled tokens, up to the one that ends the request. Returns those appended. */
  #appendUntilStop(request: Request, sampled: readonly number[]): readonly number[] {
    for (const [i, tokenId] of sampled.entries()) {
      request.appendOutputToken(tokenId)
      const stop = checkStop(request, this.config.maxModelLen)
      if (stop === null) continue
      request.finish(stop.finishReason, stop.stopReason)
      return sampled.slice(0, i + 1)
    }
    return sampled
  }

  /** Requires: the caller has taken it out of `running`. */
  #preempt(request: Request, dropsInFlight: boolean): void {
    this.#kv.free(request.requestId)
    request.preempt(dropsInFlight)
    request.recordEvent("preempted", this.#clock())
    this.#counters.numPreemptions += 1
    this.#waiting.prepend(request)
    this.#preemptedIds.push(request.requestId)
  }

  /** Frees what a finished request holds. It is still in its queue: see `#removeFromQueues`. */
  #release(request: Request): void {
    if (request.numInFlightTokens > 0) this.#kv.uncacheInFlight(request)
    this.#kv.free(request.requestId)
    this.#requests.delete(request.requestId)
    this.#finishedIds.push(request.requestId)
  }

  #removeFromQueues(finished: readonly Request[]): void {
    let numRunning = 0
    for (const request of finished) {
      if (!this.#waiting.remove(request)) numRunning += 1
    }
    if (numRunning > 0) this.#running = this.#running.filter((request) => !request.isFinished)
  }
}

/** What the model's state, if it has one, demands of steps. */
function stateBlocksOf({ groups }: KVCacheConfig, keepsSnapshots: boolean): StateBlocks | null {
  const state = groups.find(({ spec }) => spec.kind === "state")
  return state === undefined ? null : { blockSize: state.spec.blockSize, keepsSnapshots }
}
