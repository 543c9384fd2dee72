import { describe, expect, test } from "bun:test"
import { comparisonByPriority, RequestQueue } from "../../../src/core/request-queue.ts"
import type { Request } from "../../../src/core/request.ts"
import { makeRequest } from "./harness.ts"

function named(requestId: string, priority = 0, arrivalTime = 0): Request {
  return makeRequest(1, { requestId, priority, arrivalTime })
}

const idsOf = (requests: Iterable<Request>) => [...requests].map((r) => r.requestId).join("")

describe("first come, first served", () => {
  test("in order of arrival, whatever the priority", () => {
    const queue = new RequestQueue("fcfs", comparisonByPriority(0))
    for (const request of [named("a", 5, 3), named("b", 0, 2), named("c", 1, 1)]) queue.add(request)
    expect(idsOf(queue)).toBe("abc")
    expect(queue.pop().requestId).toBe("a")
    expect(queue.peek()?.requestId).toBe("b")
  })

  test("prepends, removes, and knows what it has not", () => {
    const queue = new RequestQueue("fcfs", comparisonByPriority(0))
    const [a, b, c, d] = ["a", "b", "c", "d"].map((id) => named(id)) as [Request, Request, Request, Request]
    for (const request of [a, b, c]) queue.add(request)
    queue.prepend(d)
    expect(queue.remove(b)).toBe(true)
    expect(queue.remove(b)).toBe(false)
    expect(idsOf(queue)).toBe("dac")
    expect(queue.size).toBe(3)
    expect(() => queue.add(a)).toThrow("request a already waits")
    for (const _ of [1, 2, 3]) queue.pop()
    expect(queue.peek()).toBeNull()
    expect(() => queue.pop()).toThrow("no request waits")
  })
})

describe("by priority", () => {
  test("then by arrival, then by id", () => {
    const queue = new RequestQueue("priority", comparisonByPriority(0))
    const requests = [named("a", 2, 1), named("b", 1, 3), named("c", 1, 2), named("d", 0, 4), named("f", 2, 1)]
    for (const request of requests.toReversed()) queue.add(request)
    expect(idsOf(queue)).toBe("dcbaf")
    expect(idsOf(Array.from({ length: 5 }, () => queue.pop()))).toBe("dcbaf")
  })

  test("a prepended request takes its place", () => {
    const queue = new RequestQueue("priority", comparisonByPriority(0))
    queue.add(named("a", 1))
    queue.prepend(named("b", 2))
    expect(idsOf(queue)).toBe("ab")
  })

  test("removal keeps the order", () => {
    const queue = new RequestQueue("priority", comparisonByPriority(0))
    const requests = [5, 3, 8, 1, 9, 2, 7].map((p) => named(`${p}`, p))
    for (const request of requests) queue.add(request)
    for (const index of [3, 0, 4]) expect(queue.remove(requests[index] as Request)).toBe(true)
    expect(queue.remove(requests[0] as Request)).toBe(false)
    expect(idsOf(queue)).toBe("2378")
  })
})

describe("ageing", () => {
  test("lets waiting make up for priority, at the rate it was given", () => {
    const queue = new RequestQueue("priority", comparisonByPriority(10))
    const requests = [named("a", 2, 0), named("b", 0, 19), named("c", 0, 20), named("d", 0, 21)]
    for (const request of requests) queue.add(request)
    expect(idsOf(queue)).toBe("bcad")
  })

  test("is linear, so that the order at one time is the order at all times", () => {
    const ageing = 7
    const urgencyAt = (now: number, { priority, arrivalTime }: Request) => priority - (now - arrivalTime) / ageing
    const requests = [named("a", 3, 0), named("b", -1, 31), named("c", 0, 20), named("d", 5, 2), named("e", 0, 23)]
    const queue = new RequestQueue("priority", comparisonByPriority(ageing))
    for (const request of requests) queue.add(request)
    for (const now of [31, 50, 1000]) {
      expect(requests.toSorted((x, y) => urgencyAt(now, x) - urgencyAt(now, y))).toEqual([...queue])
    }
  })
})
