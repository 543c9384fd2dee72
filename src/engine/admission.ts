/**
 * Who may come in: the limits on how much is unfinished at once.
 *
 * A refused request has left no trace. What is counted are choices: a prompt with n = 3 counts three. 429 says that the
 * caller should come more slowly, 503 that the server has no room.
 */
import { assert } from "../base/assert.ts"
import { RequestError } from "../base/errors.ts"
import type { SchedulerStats } from "../core/scheduler-stats.ts"
import type { RejectionReason } from "./metric-families.ts"

/** Null is no such limit. */
export interface AdmissionLimits {
  /** Choices that may wait while others run; 429 beyond. */
  readonly maxWaitingRequests: number | null
  /** Unfinished choices of one API key; 429 beyond. */
  readonly maxRequestsPerKey: number | null
  /** Unfinished choices; 503 beyond. */
  readonly maxNumQueuedReqs: number | null
  /** Prompt tokens of choices without an output yet; 503 from there on. */
  readonly maxNumQueuedTokens: number | null
}

export const NO_LIMITS: AdmissionLimits = {
  maxWaitingRequests: null, maxRequestsPerKey: null, maxNumQueuedReqs: null, maxNumQueuedTokens: null,
}

export interface AdmissionDeps {
  /** Choices that the scheduler runs at once, at most. */
  readonly maxNumSeqs: number
  readonly now: () => number
  readonly numUnfinished: () => number
  readonly numPrefillTokens: () => number
  readonly onRejection: (reason: RejectionReason) => void
}

const MAX_RETRY_SECONDS = 60
/** Weight of the newest interval in the mean. */
const NEWEST = 0.2

export class Admission {
  readonly #limits: AdmissionLimits
  readonly #deps: AdmissionDeps
  readonly #numByOwner = new Map<string, number>()
  /** By the core's last stats. */
  #numRunning = 0
  #hasWaiting = false
  #lastLeaveTime: number | null = null
  /** Between two choices that end, in the mean. */
  #secondsPerChoice = 0

  constructor(limits: AdmissionLimits, deps: AdmissionDeps) {
    this.#limits = limits
    this.#deps = deps
  }

  recordStep(stats: SchedulerStats): void {
    this.#numRunning = stats.numRunning
    this.#hasWaiting = stats.numWaiting + stats.numDeferred > 0
  }

  /** Lets `numChoices` in. Returns what to call, once, when they are gone. Errors: `RequestError` 429 or 503. */
  enter(owner: string, numChoices: number): () => void {
    this.#checkOwner(owner, numChoices)
    this.#checkWaiting(numChoices)
    this.#checkQueue(numChoices)
    this.#count(owner, numChoices)
    return () => {
      this.#count(owner, -numChoices)
      this.#recordLeave(numChoices)
    }
  }

  #count(owner: string, change: number): void {
    const count = (this.#numByOwner.get(owner) ?? 0) + change
    assert(count >= 0, () => `${owner} has ${count} requests`)
    if (count > 0) this.#numByOwner.set(owner, count)
    else this.#numByOwner.delete(owner)
  }

  #checkOwner(owner: string, numNew: number): void {
    const limit = this.#limits.maxRequestsPerKey
    if (limit === null) return
    if (numNew > limit) {
      throw new RequestError(`n=${numNew} is more than the ${limit} choices a key may have at once.`, { param: "n" })
    }
    const count = this.#numByOwner.get(owner) ?? 0
    if (count + numNew <= limit) return
    const words = `This API key has ${count} of at most ${limit} unfinished requests.`
    throw this.#tooMany("max_requests_per_key", words, count + numNew - limit)
  }

  /** Waiting are those beyond what can run at once, and while the core is full all that it has not started. */
  #checkWaiting(numNew: number): void {
    const limit = this.#limits.maxWaitingRequests
    if (limit === null) return
    const { maxNumSeqs } = this.#deps
    const numLive = this.#deps.numUnfinished()
    const numRunning = this.#hasWaiting ? this.#numRunning : Math.min(numLive, maxNumSeqs)
    const numWaiting = Math.max(0, numLive - numRunning)
    const numStarting = this.#hasWaiting ? 0 : Math.min(numNew, maxNumSeqs - numRunning)
    const numBeyond = numWaiting + numNew - numStarting - limit
    if (numBeyond <= 0) return
    throw this.#tooMany("max_waiting_requests", `${numWaiting} of at most ${limit} requests are waiting.`, numBeyond)
  }

  #checkQueue(numNew: number): void {
    const { maxNumQueuedReqs, maxNumQueuedTokens } = this.#limits
    const numLive = this.#deps.numUnfinished()
    if (maxNumQueuedReqs !== null && numLive + numNew > maxNumQueuedReqs) {
      const words = `${numLive} of at most ${maxNumQueuedReqs} requests are unfinished.`
      throw this.#noRoom("max_num_queued_reqs", words, numLive + numNew - maxNumQueuedReqs)
    }
    if (maxNumQueuedTokens === null) return
    const numTokens = this.#deps.numPrefillTokens()
    if (numTokens < maxNumQueuedTokens) return
    const words = `${numTokens} of at most ${maxNumQueuedTokens} prompt tokens wait to be computed.`
    throw this.#noRoom("max_num_queued_tokens", words, 1)
  }

  #tooMany(reason: RejectionReason, words: string, numBeyond: number): RequestError {
    this.#deps.onRejection(reason)
    const retryAfterSeconds = this.#secondsUntil(numBeyond)
    return new RequestError(`${words} Please try again later.`, {
      status: 429, type: "RateLimitError", retryAfterSeconds,
    })
  }

  #noRoom(reason: RejectionReason, words: string, numBeyond: number): RequestError {
    this.#deps.onRejection(reason)
    const retryAfterSeconds = this.#secondsUntil(numBeyond)
    return new RequestError(`${words} Please try again later.`, {
      status: 503, type: "Service Unavailable", retryAfterSeconds,
    })
  }

  #recordLeave(numChoices: number): void {
    const now = this.#deps.now()
    if (this.#lastLeaveTime !== null) {
      const seconds = (now - this.#lastLeaveTime) / numChoices
      this.#secondsPerChoice += NEWEST * (seconds - this.#secondsPerChoice)
    }
    this.#lastLeaveTime = now
  }

  /** Until so many choices have ended, going by how they did of late. */
  #secondsUntil(numChoices: number): number {
    return Math.min(MAX_RETRY_SECONDS, Math.max(1, Math.ceil(this.#secondsPerChoice * numChoices)))
  }
}
