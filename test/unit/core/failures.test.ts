import { describe, expect, test } from "bun:test"
import type { RequestFailure } from "../../../src/core/schedule-plan.ts"
import type { Scheduler } from "../../../src/core/scheduler.ts"
import { makeRequest, makeScheduler, range, resultOf, scheduledTokens } from "./harness.ts"

const SPOILED: RequestFailure = { message: "not finite", isCallersFault: false, spoilsCache: true }
const REFUSED: RequestFailure = { message: "no", isCallersFault: true }

/** A step in which these requests fail. */
function stepFailing(scheduler: Scheduler, failing: Readonly<Record<string, RequestFailure>>) {
  const plan = scheduler.schedule()
  const result = resultOf(plan)
  const failures = new Map(Object.entries(failing).filter(([id]) => plan.requests.some((r) => r.requestId === id)))
  for (const id of failures.keys()) result.sampledTokenIds.delete(id)
  const outputs = scheduler.updateFromOutput(plan, { ...result, failures })
  scheduler.verify()
  return { ...plan, outputs }
}

const cachedOf = (scheduler: Scheduler, prompt: readonly number[]) =>
  scheduler.kv.findPrefixHit(makeRequest(prompt)).numTokens

const common = range(48)

describe("a request whose numbers are not finite", () => {
  test("is computed once more, apart; only if it fails again it ends", () => {
    const scheduler = makeScheduler()
    const prompt = [...common, 1, 2]
    scheduler.addRequest(makeRequest(prompt, { requestId: "a" }))
    const first = stepFailing(scheduler, { a: SPOILED })
    expect(first.outputs).toEqual([])
    expect(cachedOf(scheduler, prompt)).toBe(0)
    const second = stepFailing(scheduler, { a: SPOILED })
    expect([second.preemptedRequestIds, scheduledTokens(second)]).toEqual([["a"], { a: 50 }])
    expect(second.outputs).toMatchObject([{ requestId: "a", finishReason: "error", failure: SPOILED, newTokenIds: [] }])
    expect(scheduler.hasUnfinishedRequests()).toBe(false)
    expect(scheduler.kvCacheUsage).toBe(0)
    expect(cachedOf(scheduler, prompt)).toBe(0)
  })

  test("goes on where it was when it is not its own fault, and still leaves no prefix", () => {
    const scheduler = makeScheduler()
    const request = makeRequest(common, { requestId: "a", sampling: { maxTokens: 3 } })
    scheduler.addRequest(request)
    stepFailing(scheduler, {})
    stepFailing(scheduler, { a: SPOILED })
    expect(request).toMatchObject({ status: "preempted", numOutputTokens: 1 })
    const again = stepFailing(scheduler, {})
    expect(again.requests).toMatchObject([{ numComputedTokens: 0, numScheduledTokens: 49, numCachedTokens: 0 }])
    expect(again.outputs).toMatchObject([{ newTokenIds: [7], finishReason: null }])
    expect(stepFailing(scheduler, {}).outputs).toMatchObject([{ finishReason: "length" }])
    expect(cachedOf(scheduler, [...common, 1])).toBe(0)
  })

  test("does not take part in sharing the second time, be the prefix found anew or not", () => {
    const scheduler = makeScheduler()
    scheduler.addRequest(makeRequest([...common, 1], { requestId: "a" }))
    scheduler.addRequest(makeRequest([...common, 2], { requestId: "b" }))
    expect(scheduledTokens(stepFailing(scheduler, { a: SPOILED, b: SPOILED }))).toEqual({ a: 49, b: 1 })
    // In the order in which they were.
    const apart = stepFailing(scheduler, { a: SPOILED })
    expect(Object.entries(scheduledTokens(apart))).toEqual([["a", 49], ["b", 49]])
    expect(apart.outputs).toMatchObject([
      { requestId: "a", finishReason: "error" }, { requestId: "b", newTokenIds: [7] },
    ])
    scheduler.addRequest(makeRequest([...common, 3], { requestId: "c" }))
    expect(scheduledTokens(stepFailing(scheduler, {}))).toEqual({ b: 1, c: 49 })
    expect(cachedOf(scheduler, [...common, 4])).toBe(48)
  })

  test("takes away what it found in the cache, and nothing else", () => {
    const scheduler = makeScheduler()
    for (const [id, prompt] of [["old", common], ["other", range(40, 500)]] as const) {
      scheduler.addRequest(makeRequest(prompt, { requestId: id, sampling: { maxTokens: 1 } }))
    }
    stepFailing(scheduler, {})
    scheduler.addRequest(makeRequest([...common, 1], { requestId: "a" }))
    expect(stepFailing(scheduler, { a: SPOILED }).requests).toMatchObject([{ numCachedTokens: 48 }])
    expect(cachedOf(scheduler, [...common, 2])).toBe(0)
    expect(cachedOf(scheduler, range(40, 500))).toBe(32)
  })

  test("in the middle of its prompt it is found too", () => {
    const scheduler = makeScheduler({ maxNumBatchedTokens: 16 })
    scheduler.addRequest(makeRequest(common, { requestId: "a" }))
    stepFailing(scheduler, {})
    expect(cachedOf(scheduler, common)).toBe(16)
    stepFailing(scheduler, { a: SPOILED })
    expect(cachedOf(scheduler, common)).toBe(0)
    stepFailing(scheduler, {})
    expect(stepFailing(scheduler, { a: SPOILED }).outputs).toMatchObject([{ finishReason: "error" }])
  })

  test("where it ends before its step's result is looked at, what that step wrote is not found", () => {
    const scheduler = makeScheduler({ maxNumBatchedTokens: 32 })
    scheduler.addRequest(makeRequest(range(100), { requestId: "a" }))
    stepFailing(scheduler, {})
    const plan = scheduler.schedule()
    expect(scheduledTokens(plan)).toEqual({ a: 32 })
    expect(cachedOf(scheduler, range(100))).toBe(64)
    scheduler.finishRequests("a", "abort")
    expect(cachedOf(scheduler, range(100))).toBe(32)
    expect(scheduler.updateFromOutput(plan, { ...resultOf(plan), failures: new Map([["a", SPOILED]]) })).toEqual([])
    expect(cachedOf(scheduler, range(100))).toBe(32)
    scheduler.verify()
  })

  test("results of its other steps in flight are dropped, preempted or not", () => {
    for (const isPreempted of [false, true]) {
      const scheduler = makeScheduler({ maxNumBatchedTokens: 32 })
      const request = makeRequest(range(100), { requestId: "a" })
      scheduler.addRequest(request)
      const plans = [scheduler.schedule(), scheduler.schedule()]
      if (isPreempted) scheduler.resetPrefixCache(true)
      for (const plan of plans) {
        const result = { ...resultOf(plan), failures: new Map([["a", SPOILED]]) }
        expect(scheduler.updateFromOutput(plan, result)).toEqual([])
        scheduler.verify()
      }
      expect(request).toMatchObject({ status: "preempted", numStaleTokens: 0, isComputedApart: !isPreempted })
    }
  })

  test("of two groups of layers both forget", () => {
    const scheduler = makeScheduler({ hybridWindow: 32 })
    scheduler.addRequest(makeRequest(common, { requestId: "a", sampling: { maxTokens: 1 } }))
    stepFailing(scheduler, {})
    expect(cachedOf(scheduler, [...common, 1])).toBe(48)
    scheduler.addRequest(makeRequest([...common, 1], { requestId: "b" }))
    stepFailing(scheduler, { b: SPOILED })
    expect(cachedOf(scheduler, [...common, 1])).toBe(0)
  })

  test("prompts that are judged are judged once, by the numbers that count", () => {
    const scheduler = makeScheduler()
    const request = makeRequest(4, { requestId: "a", sampling: { promptLogprobs: 0, maxTokens: 1 } })
    scheduler.addRequest(request)
    stepFailing(scheduler, { a: SPOILED })
    expect(request.promptLogprobs?.numKnown).toBe(1)
    const plan = scheduler.schedule()
    expect(plan.requests).toMatchObject([{ promptLogprobs: { first: 1, end: 4 } }])
  })
})

test("a failure of another kind ends the request at once, and its prefix stays", () => {
  const scheduler = makeScheduler()
  scheduler.addRequest(makeRequest([...common, 1], { requestId: "a" }))
  scheduler.addRequest(makeRequest([...common, 2], { requestId: "b" }))
  const { outputs } = stepFailing(scheduler, { a: REFUSED })
  expect(outputs).toMatchObject([
    { requestId: "a", finishReason: "error", failure: REFUSED }, { requestId: "b", newTokenIds: [7] },
  ])
  expect(cachedOf(scheduler, [...common, 3])).toBe(48)
})
