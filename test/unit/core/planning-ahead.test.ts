import { describe, expect, test } from "bun:test"
import { makeRequest, makeScheduler, resultOf, scheduledTokens } from "./harness.ts"

describe("with steps in flight", () => {
  test("the token that one of them brings is computed by the next", () => {
    const scheduler = makeScheduler()
    const request = makeRequest(10, { requestId: "a", sampling: { maxTokens: 4 } })
    scheduler.addRequest(request)
    const plans = [1, 2, 3, 4].map(() => scheduler.schedule())
    const ranges = plans.flatMap(({ requests }) => requests.map((r) => [r.numComputedTokens, r.numUnknownTokens]))
    expect(ranges).toEqual([[0, 0], [10, 1], [11, 1], [12, 1]])
    // Four tokens are on their way, and more it may not have: all scheduled is the prompt and all but the last token.
    expect(scheduler.schedule().requests).toEqual([])
    const outputs = plans.flatMap((plan) => scheduler.updateFromOutput(plan, resultOf(plan)))
    expect(outputs.map(({ finishReason }) => finishReason)).toEqual([null, null, null, "length"])
    expect(request).toMatchObject({ numOutputTokens: 4, numComputedTokens: 13, numPlaceholders: 0 })
    scheduler.verify()
  })

  test("a token that ends the request makes the steps after it void", () => {
    const scheduler = makeScheduler()
    scheduler.addRequest(makeRequest(10, { requestId: "a", sampling: { stopTokenIds: [42] } }))
    const [first, second] = [scheduler.schedule(), scheduler.schedule()]
    expect(scheduler.updateFromOutput(first, resultOf(first, { a: [42] }))).toMatchObject([{ finishReason: "stop" }])
    expect(scheduler.updateFromOutput(second, resultOf(second))).toEqual([])
    scheduler.verify()
    expect(scheduler.kvCacheUsage).toBe(0)
  })

  test("who waits for the host waits one step, and others do not", () => {
    const scheduler = makeScheduler()
    scheduler.addRequest(makeRequest(10, { requestId: "a", waitsForHost: true }))
    scheduler.addRequest(makeRequest(10, { requestId: "b" }))
    const first = scheduler.schedule()
    expect(scheduledTokens(scheduler.schedule())).toEqual({ b: 1 })
    scheduler.updateFromOutput(first, resultOf(first))
    expect(scheduledTokens(scheduler.schedule())).toEqual({ a: 1, b: 1 })
  })

  test("a draft is verified before anything is planned behind it", () => {
    const scheduler = makeScheduler()
    const request = makeRequest(10, { requestId: "a" })
    scheduler.addRequest(request)
    const first = scheduler.schedule()
    scheduler.updateFromOutput(first, resultOf(first))
    scheduler.updateDraftTokens(new Map([["a", [5, 6]]]))
    const second = scheduler.schedule()
    expect(second.requests).toMatchObject([{ numScheduledTokens: 3, draftTokenIds: [5, 6], numUnknownTokens: 0 }])
    expect(scheduler.schedule().requests).toEqual([])
    scheduler.updateFromOutput(second, resultOf(second, { a: [5, 9] }))
    expect(request).toMatchObject({ numComputedTokens: 12, numTokens: 13, numPlaceholders: 0 })
    expect(scheduler.schedule().requests).toMatchObject([{ numComputedTokens: 12, numScheduledTokens: 1 }])
  })

  test("blocks are named once all their tokens are known", () => {
    const scheduler = makeScheduler({ blockSize: 2 })
    scheduler.addRequest(makeRequest([1, 2, 3], { requestId: "a" }))
    const [first, second, third] = [scheduler.schedule(), scheduler.schedule(), scheduler.schedule()]
    const other = () => scheduler.kv.findPrefixHit(makeRequest([1, 2, 3, 7, 7, 7])).numTokens
    expect(other()).toBe(2)
    for (const plan of [first, second, third]) scheduler.updateFromOutput(plan, resultOf(plan))
    scheduler.schedule()
    expect(other()).toBe(4)
  })
})
