import { describe, expect, test } from "bun:test"
import type { Request } from "../../../src/core/request.ts"
import { makeRequest, makeScheduler, range, resultOf, scheduledTokens, step } from "./harness.ts"

describe("first come, first served", () => {
  test("the newest gives way, and is computed again with its outputs", () => {
    const scheduler = makeScheduler({ numBlocks: 6, enablePrefixCaching: false })
    const [a, b] = ["a", "b"].map((requestId) => makeRequest(32, { requestId })) as [Request, Request]
    scheduler.addRequest(a)
    scheduler.addRequest(b)
    expect(scheduledTokens(step(scheduler))).toEqual({ a: 32, b: 32 })
    // The fifth block goes to a; b finds none and gives way, although it would be its turn.
    const second = step(scheduler)
    expect(scheduledTokens(second)).toEqual({ a: 1 })
    expect(second.preemptedRequestIds).toEqual(["b"])
    expect(b).toMatchObject({ status: "preempted", numComputedTokens: 0, numOutputTokens: 1, numPreemptions: 1 })
    expect(scheduledTokens(step(scheduler))).toEqual({ a: 1 })
    expect(scheduler.makeStats()).toMatchObject({ numRunning: 1, numWaiting: 1, numPreemptions: 1 })
    scheduler.finishRequests("a", "abort")
    const resumed = step(scheduler)
    expect(resumed.requests).toMatchObject([{ requestId: "b", isNew: true, numScheduledTokens: 33, samples: true }])
    expect(resumed.requests[0]?.tokenIds).toHaveLength(34)
    expect(resumed.outputs[0]).toMatchObject({ events: [{ type: "preempted" }, { type: "scheduled" }] })
    expect(resumed.outputs[0]?.prefillStats).toBeNull()
  })

  test("a resumed request hits what is left of its own blocks", () => {
    const scheduler = makeScheduler({ numBlocks: 6 })
    for (const id of ["a", "b"]) scheduler.addRequest(makeRequest(32, { requestId: id }))
    step(scheduler)
    step(scheduler)
    scheduler.finishRequests("a", "abort")
    const resumed = step(scheduler)
    expect(resumed.requests).toMatchObject([{ requestId: "b", numComputedTokens: 32, numScheduledTokens: 1 }])
    expect(scheduler.makeStats().prefixCache).toMatchObject({ requests: 2, preemptedRequests: 1, preemptedHits: 32 })
  })

  test("after a preemption, nobody is admitted in the same step", () => {
    const scheduler = makeScheduler({ numBlocks: 6, enablePrefixCaching: false })
    for (const id of ["a", "b"]) scheduler.addRequest(makeRequest(32, { requestId: id }))
    step(scheduler)
    scheduler.addRequest(makeRequest(1, { requestId: "c" }))
    expect(scheduledTokens(step(scheduler))).toEqual({ a: 1 })
    // b is at the head of the line and does not fit; c must not overtake it.
    expect(scheduledTokens(step(scheduler))).toEqual({ a: 1 })
  })

  test("a token that was in flight is delivered, and waited for", () => {
    const scheduler = makeScheduler({ numBlocks: 11, enablePrefixCaching: false })
    const a = makeRequest(80, { requestId: "a", waitsForHost: true })
    const b = makeRequest(80, { requestId: "b" })
    scheduler.addRequest(a)
    const first = scheduler.schedule()
    scheduler.addRequest(b)
    const second = scheduler.schedule()
    expect(scheduledTokens(second)).toEqual({ b: 80 })
    scheduler.updateFromOutput(first, resultOf(first))
    // a needs an eleventh block; b, whose step is in flight, gives way.
    const third = scheduler.schedule()
    expect(scheduledTokens(third)).toEqual({ a: 1 })
    expect(third.preemptedRequestIds).toEqual(["b"])
    scheduler.finishRequests("a", "abort")
    expect(scheduler.schedule().requests).toEqual([])
    expect(scheduler.makeStats()).toMatchObject({ numWaiting: 0, numDeferred: 1 })
    const [late] = scheduler.updateFromOutput(second, resultOf(second, { b: [42] }))
    expect(late).toMatchObject({ requestId: "b", newTokenIds: [42] })
    expect(b).toMatchObject({ status: "preempted", numComputedTokens: 0, numOutputTokens: 1 })
    scheduler.verify()
    expect(scheduledTokens(scheduler.schedule())).toEqual({ b: 81 })
    expect(scheduler.makeStats()).toMatchObject({ numWaiting: 0, numDeferred: 0 })
  })

  test("whoever waits for its token is passed over, and keeps its place", () => {
    const scheduler = makeScheduler({ numBlocks: 11, enablePrefixCaching: false })
    scheduler.addRequest(makeRequest(80, { requestId: "a", waitsForHost: true }))
    const first = scheduler.schedule()
    scheduler.addRequest(makeRequest(80, { requestId: "b" }))
    const second = scheduler.schedule()
    scheduler.updateFromOutput(first, resultOf(first))
    for (const id of ["c", "d"]) scheduler.addRequest(makeRequest(40, { requestId: id }))
    const third = scheduler.schedule()
    expect([scheduledTokens(third), third.preemptedRequestIds]).toEqual([{ a: 1 }, ["b"]])
    const fourth = scheduler.schedule()
    expect(scheduledTokens(fourth)).toEqual({ c: 40 })
    for (const plan of [second, third, fourth]) scheduler.updateFromOutput(plan, resultOf(plan))
    scheduler.finishRequests("a", "abort")
    expect(Object.keys(scheduledTokens(step(scheduler)))).toEqual(["c", "b"])
  })

  test("a late token may end a preempted request", () => {
    const scheduler = makeScheduler({ numBlocks: 11 })
    scheduler.addRequest(makeRequest(80, { requestId: "a", waitsForHost: true }))
    const first = scheduler.schedule()
    scheduler.addRequest(makeRequest(80, { requestId: "b", sampling: { stopTokenIds: [42] } }))
    const second = scheduler.schedule()
    scheduler.updateFromOutput(first, resultOf(first))
    scheduler.schedule()
    const [late] = scheduler.updateFromOutput(second, resultOf(second, { b: [42] }))
    expect(late).toMatchObject({ requestId: "b", finishReason: "stop", stopReason: 42 })
    scheduler.verify()
    expect(scheduler.makeStats()).toMatchObject({ numRunning: 1, numWaiting: 0 })
  })

  test("a reset that preempts drops what is in flight", () => {
    const scheduler = makeScheduler()
    const request = makeRequest(40, { requestId: "a" })
    scheduler.addRequest(request)
    const plan = scheduler.schedule()
    scheduler.resetPrefixCache(true)
    const again = scheduler.schedule()
    expect(scheduledTokens(again)).toEqual({ a: 40 })
    expect(scheduler.updateFromOutput(plan, resultOf(plan, { a: [42] }))).toEqual([])
    expect(request.numOutputTokens).toBe(0)
    expect(scheduler.updateFromOutput(again, resultOf(again, { a: [7] }))).toMatchObject([{ newTokenIds: [7] }])
    expect(request).toMatchObject({ numComputedTokens: 40, numInFlightTokens: 0, numStaleTokens: 0 })
  })
})

describe("by priority", () => {
  const policy = "priority"
  const make = (requestId: string, priority: number, arrivalTime: number, numTokens = 10) =>
    makeRequest(numTokens, { requestId, priority, arrivalTime })

  test("requests are admitted by priority, then arrival", () => {
    const scheduler = makeScheduler({ policy })
    for (const [n, [priority, arrival]] of [[2, 1], [1, 3], [1, 2], [0, 4]].entries()) {
      scheduler.addRequest(make(`${n}`, priority as number, arrival as number))
    }
    expect(step(scheduler).requests.map((r) => r.requestId)).toEqual(["3", "2", "1", "0"])
  })

  test("the others wait in that order for a place", () => {
    const scheduler = makeScheduler({ policy, maxNumSeqs: 1 })
    for (const [id, priority] of [["a", 2], ["b", 0], ["c", 1]] as const) scheduler.addRequest(make(id, priority, 0))
    const order: string[] = []
    for (const _ of range(3)) {
      const id = step(scheduler).requests[0]?.requestId as string
      order.push(id)
      scheduler.finishRequests(id, "abort")
    }
    expect(order).toEqual(["b", "c", "a"])
  })

  test("first come, first served ignores priorities", () => {
    const scheduler = makeScheduler({ policy: "fcfs" })
    for (const [id, priority] of [["a", 2], ["b", 0]] as const) scheduler.addRequest(make(id, priority, 0))
    expect(step(scheduler).requests.map((r) => r.requestId)).toEqual(["a", "b"])
  })

  test("the least important gives way, though it was admitted first", () => {
    const scheduler = makeScheduler({ policy, numBlocks: 6, enablePrefixCaching: false })
    const low = make("low", 5, 1, 30)
    scheduler.addRequest(low)
    step(scheduler)
    scheduler.addRequest(make("high", 0, 2, 48))
    expect(scheduledTokens(step(scheduler))).toEqual({ low: 1, high: 48 })
    // low already had its token of this step when high found no block: that token is taken back.
    const plan = step(scheduler)
    expect(scheduledTokens(plan)).toEqual({ high: 1 })
    expect(plan.totalNumScheduledTokens).toBe(1)
    expect(plan.preemptedRequestIds).toEqual(["low"])
    expect(low).toMatchObject({ status: "preempted", numComputedTokens: 0, numInFlightTokens: 0 })
  })

  test("among equals the last to arrive gives way", () => {
    const scheduler = makeScheduler({ policy, numBlocks: 7, enablePrefixCaching: false })
    for (const [id, arrival] of [["a", 3], ["b", 1], ["c", 2]] as const) scheduler.addRequest(make(id, 1, arrival, 32))
    step(scheduler)
    const plan = step(scheduler)
    expect(plan.preemptedRequestIds).toEqual(["a"])
    expect(scheduledTokens(plan)).toEqual({ b: 1, c: 1 })
  })

  test("who gives way itself ends the step, and the next one goes on without it", () => {
    const scheduler = makeScheduler({ policy, numBlocks: 5, enablePrefixCaching: false })
    scheduler.addRequest(make("low", 5, 1, 32))
    scheduler.addRequest(make("high", 0, 2, 24))
    step(scheduler)
    step(scheduler)
    scheduler.verify()
    expect(scheduledTokens(step(scheduler))).toEqual({ high: 1 })
  })

  test("blocks of a plan that is taken back are not found under their names", () => {
    const config = { policy, numBlocks: 11, blockSize: 4, maxNumBatchedTokens: 16, maxNumSeqs: 4 } as const
    const scheduler = makeScheduler({ ...config, longPrefillTokenThreshold: 8, schedulerReserveFullIsl: false })
    scheduler.addRequest(make("low", 5, 1, 33))
    step(scheduler)
    scheduler.addRequest(make("high", 0, 2, 8))
    expect(scheduledTokens(step(scheduler))).toEqual({ low: 8, high: 8 })
    // The last two blocks go to low, and are named; then high finds none, and they are taken back unwritten.
    const plan = step(scheduler)
    expect([scheduledTokens(plan), plan.preemptedRequestIds]).toEqual([{ high: 1 }, ["low"]])
    scheduler.finishRequests("high", "abort")
    expect(step(scheduler).requests).toMatchObject([{ requestId: "low", numComputedTokens: 24 }])
  })

  test("preempted and resumed requests all come to their end", () => {
    const scheduler = makeScheduler({ policy, numBlocks: 12, blockSize: 4, maxModelLen: 40 })
    const requests = range(8).map((n) =>
      makeRequest(10 + n, { requestId: `${n}`, priority: n % 3, arrivalTime: n, sampling: { maxTokens: 20 } }),
    )
    for (const request of requests) scheduler.addRequest(request)
    for (let steps = 0; scheduler.hasUnfinishedRequests(); steps++) {
      expect(steps).toBeLessThan(1000)
      step(scheduler)
    }
    expect(requests.map((r) => [r.numOutputTokens, r.finishReason])).toEqual(Array(8).fill([20, "length"]))
    expect(scheduler.makeStats().numPreemptions).toBeGreaterThan(0)
  })
})
