/**
 * The requests that wait to be admitted, in the order of a policy: those that wait for room in a heap, and apart from
 * them those that are blocked, which keep their place in line and are not looked at until they are unblocked.
 * Every operation is at most logarithmic in the number of requests.
 */
import { assert } from "../base/assert.ts"
import type { BlockedReason, Request } from "./request.ts"

export type SchedulingPolicy = "fcfs" | "priority"

/** Negative when `a` goes before `b`. A total order over live requests. */
export type CompareRequests = (a: Request, b: Request) => number

/**
 * By priority, with waiting making up for it: `ageingSeconds` of waiting are worth a priority of one. 0: they are worth
 * nothing, and a stream of urgent requests keeps the others waiting for ever.
 *
 * At every time the order is that of priority - (now - arrival) / ageing, so it is that of arrival + priority * ageing
 * at all times: nothing has to be sorted anew as time goes by, and nobody has to know the time.
 */
export function comparisonByPriority(ageingSeconds: number): CompareRequests {
  if (ageingSeconds === 0) return compareStrictly
  const rank = ({ arrivalTime, priority }: Request) => arrivalTime + priority * ageingSeconds
  return (a, b) => rank(a) - rank(b) || compareStrictly(a, b)
}

/** By priority, then arrival, then id. */
function compareStrictly(a: Request, b: Request): number {
  if (a.priority !== b.priority) return a.priority - b.priority
  if (a.arrivalTime !== b.arrivalTime) return a.arrivalTime - b.arrivalTime
  return a.requestId < b.requestId ? -1 : a.requestId > b.requestId ? 1 : 0
}

/** First come, first served; a prepended request is before all others. */
function compareByRank(a: Request, b: Request): number {
  return a.queueRank - b.queueRank
}

/** Requests that are blocked, by the first of their reasons. */
export type BlockedCounts = Readonly<Record<BlockedReason, number>>

export class RequestQueue {
  /** A binary heap of the requests that are not blocked. */
  readonly #heap: Request[] = []
  readonly #indexOf = new Map<Request, number>()
  readonly #blocked = new Set<Request>()
  readonly #compare: CompareRequests
  #firstRank = 0
  #lastRank = 0

  /** `compareByPriority` is used by the priority policy alone. */
  constructor(policy: SchedulingPolicy, compareByPriority: CompareRequests) {
    this.#compare = policy === "fcfs" ? compareByRank : compareByPriority
  }

  /** The blocked ones included. */
  get size(): number {
    return this.#heap.length + this.#blocked.size
  }

  get numBlocked(): number {
    return this.#blocked.size
  }

  add(request: Request): void {
    request.queueRank = this.#lastRank += 1
    this.#insert(request)
  }

  /** Puts a request before all others, where the policy lets it. */
  prepend(request: Request): void {
    request.queueRank = this.#firstRank -= 1
    this.#insert(request)
  }

  /** The next in line that is not blocked, left in place; null when there is none. */
  peek(): Request | null {
    return this.#heap[0] ?? null
  }

  /** What `peek` returns, taken out; null is the caller's bug. */
  pop(): Request {
    const request = this.peek()
    assert(request !== null, "no request waits")
    this.#removeFromHeap(request)
    return request
  }

  /** Back to the place it was popped from. */
  putBack(request: Request): void {
    this.#insert(request)
  }

  /** False when it is not here. */
  remove(request: Request): boolean {
    return this.#blocked.delete(request) || this.#removeFromHeap(request)
  }

  /** Takes note that a request is no longer blocked. Does nothing for a request that is not here. */
  release(request: Request): void {
    if (!request.isBlocked && this.#blocked.delete(request)) this.#insert(request)
  }

  countBlocked(): BlockedCounts {
    const counts = { grammar: 0, stale_output: 0, remote_kv: 0 }
    for (const { blockedReasons: [reason] } of this.#blocked) if (reason !== undefined) counts[reason] += 1
    return counts
  }

  /** All of them in the order of the policy, as if none were blocked. */
  *[Symbol.iterator](): Iterator<Request> {
    yield* [...this.#heap, ...this.#blocked].sort(this.#compare)
  }

  /** Checks that exactly the blocked requests are set apart. */
  verify(): void {
    for (const request of this.#heap) assert(!request.isBlocked, () => `${request.requestId} is blocked and in line`)
    for (const request of this.#blocked) assert(request.isBlocked, () => `${request.requestId} is not blocked`)
  }

  #insert(request: Request): void {
    const isHere = this.#indexOf.has(request) || this.#blocked.has(request)
    assert(!isHere, () => `request ${request.requestId} already waits`)
    if (request.isBlocked) {
      this.#blocked.add(request)
      return
    }
    this.#heap.push(request)
    this.#siftUp(this.#heap.length - 1)
  }

  #removeFromHeap(request: Request): boolean {
    const index = this.#indexOf.get(request)
    if (index === undefined) return false
    this.#indexOf.delete(request)
    const last = this.#heap.pop()
    if (last === undefined || last === request) return true
    this.#place(last, index)
    this.#siftUp(index)
    this.#siftDown(this.#indexOf.get(last) ?? index)
    return true
  }

  #siftUp(from: number): void {
    const request = this.#at(from)
    let index = from
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = this.#at(parentIndex)
      if (this.#compare(parent, request) <= 0) break
      this.#place(parent, index)
      index = parentIndex
    }
    this.#place(request, index)
  }

  #siftDown(from: number): void {
    const request = this.#at(from)
    let index = from
    for (;;) {
      let child = 2 * index + 1
      if (child >= this.#heap.length) break
      if (child + 1 < this.#heap.length && this.#compare(this.#at(child + 1), this.#at(child)) < 0) child += 1
      if (this.#compare(request, this.#at(child)) <= 0) break
      this.#place(this.#at(child), index)
      index = child
    }
    this.#place(request, index)
  }

  #at(index: number): Request {
    const request = this.#heap[index]
    assert(request !== undefined, () => `heap index ${index} of ${this.#heap.length}`)
    return request
  }

  #place(request: Request, index: number): void {
    this.#heap[index] = request
    this.#indexOf.set(request, index)
  }
}
