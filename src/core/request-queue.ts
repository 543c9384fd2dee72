/** The requests that wait to be admitted, in the order of a policy. Every operation is at most logarithmic. */
import { assert } from "../base/assert.ts"
import type { Request } from "./request.ts"

export type SchedulingPolicy = "fcfs" | "priority"

export interface RequestQueue {
  readonly size: number
  add(request: Request): void
  /** Next in line, left in place; null when empty. */
  peek(): Request | null
  /** Next in line, taken out. An empty queue is the caller's bug. */
  pop(): Request
  /** Puts a request before all others, where the policy lets it. */
  prepend(request: Request): void
  /** False when it is not here. */
  remove(request: Request): boolean
  /** In the order in which they would be popped. */
  [Symbol.iterator](): Iterator<Request>
}

/** Negative when `a` goes before `b`. A total order over live requests. */
export type CompareRequests = (a: Request, b: Request) => number

export function makeRequestQueue(policy: SchedulingPolicy, compare: CompareRequests): RequestQueue {
  return policy === "fcfs" ? new FcfsQueue() : new PriorityQueue(compare)
}

interface Link {
  readonly request: Request | null
  prev: Link
  next: Link
}

/** First come, first served: a list, linked so that an abort of one request among thousands costs nothing. */
export class FcfsQueue implements RequestQueue {
  /** Stands before the first and after the last. */
  readonly #end: Link
  readonly #links = new Map<Request, Link>()

  constructor() {
    const end = { request: null } as Link
    end.prev = end.next = end
    this.#end = end
  }

  get size(): number {
    return this.#links.size
  }

  add(request: Request): void {
    this.#insertBefore(this.#end, request)
  }

  prepend(request: Request): void {
    this.#insertBefore(this.#end.next, request)
  }

  peek(): Request | null {
    return this.#end.next.request
  }

  pop(): Request {
    const request = this.peek()
    assert(request !== null, "no request waits")
    this.remove(request)
    return request
  }

  remove(request: Request): boolean {
    const link = this.#links.get(request)
    if (link === undefined) return false
    link.prev.next = link.next
    link.next.prev = link.prev
    return this.#links.delete(request)
  }

  *[Symbol.iterator](): Iterator<Request> {
    for (let link = this.#end.next; link.request !== null; link = link.next) yield link.request
  }

  #insertBefore(next: Link, request: Request): void {
    assert(!this.#links.has(request), () => `request ${request.requestId} already waits`)
    const link: Link = { request, prev: next.prev, next }
    next.prev.next = link
    next.prev = link
    this.#links.set(request, link)
  }
}

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

/** A binary heap that knows where each request sits. The order leaves no freedom, so `prepend` is `add`. */
export class PriorityQueue implements RequestQueue {
  readonly #heap: Request[] = []
  readonly #indexOf = new Map<Request, number>()
  readonly #compare: CompareRequests

  constructor(compare: CompareRequests) {
    this.#compare = compare
  }

  get size(): number {
    return this.#heap.length
  }

  add(request: Request): void {
    assert(!this.#indexOf.has(request), () => `request ${request.requestId} already waits`)
    this.#heap.push(request)
    this.#siftUp(this.#heap.length - 1)
  }

  prepend(request: Request): void {
    this.add(request)
  }

  peek(): Request | null {
    return this.#heap[0] ?? null
  }

  pop(): Request {
    const request = this.peek()
    assert(request !== null, "no request waits")
    this.remove(request)
    return request
  }

  remove(request: Request): boolean {
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

  *[Symbol.iterator](): Iterator<Request> {
    yield* this.#heap.toSorted(this.#compare)
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
