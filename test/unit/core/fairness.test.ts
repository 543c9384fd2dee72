import { describe, expect, test } from "bun:test"
import type { Scheduler } from "../../../src/core/scheduler.ts"
import { makeRequest, makeScheduler, resultOf, scheduledTokens, step } from "./harness.ts"

/** An urgent request arrives every second, and one request at a time runs: when is a patient one served, or null. */
function servedAt(priorityAgeingSeconds: number): number | null {
  const scheduler = makeScheduler({ policy: "priority", maxNumSeqs: 1, priorityAgeingSeconds })
  const add = (requestId: string, priority: number, arrivalTime: number) =>
    scheduler.addRequest(makeRequest(4, { requestId, priority, arrivalTime, sampling: { maxTokens: 1 } }))
  add("patient", 3, 0)
  for (let now = 0; now < 200; now++) {
    add(`urgent ${now}`, 0, now)
    if (step(scheduler).outputs.some(({ requestId }) => requestId === "patient")) return now
  }
  return null
}

describe("a stream of urgent requests", () => {
  test("keeps the others waiting for ever where waiting is worth nothing", () => expect(servedAt(0)).toBeNull())

  // Three priorities later it ranks as one that arrives then.
  test.each([1, 5, 50])("keeps them waiting for so long where %d s are worth a priority", (ageing) => {
    const served = servedAt(ageing)
    expect(served).toBeGreaterThanOrEqual(3 * ageing)
    expect(served).toBeLessThanOrEqual(3 * ageing + 2)
  })
})

describe("a cap on prompt tokens", () => {
  const plan = (scheduler: Scheduler, cap: number) => {
    const next = scheduler.schedule(cap)
    scheduler.updateFromOutput(next, resultOf(next))
    scheduler.verify()
    return scheduledTokens(next)
  }

  test("binds nobody while nobody decodes", () => {
    const scheduler = makeScheduler({ maxNumBatchedTokens: 100 })
    scheduler.addRequest(makeRequest(70, { requestId: "a" }))
    scheduler.addRequest(makeRequest(70, { requestId: "b" }))
    expect(plan(scheduler, 10)).toEqual({ a: 70, b: 30 })
  })

  test("leaves those who decode their token, and the prompts their share", () => {
    const scheduler = makeScheduler({ maxNumBatchedTokens: 100 })
    scheduler.addRequest(makeRequest(3, { requestId: "a" }))
    plan(scheduler, 10)
    scheduler.addRequest(makeRequest(25, { requestId: "b" }))
    scheduler.addRequest(makeRequest(5, { requestId: "c" }))
    expect(plan(scheduler, 10)).toEqual({ a: 1, b: 10 })
    expect(plan(scheduler, 10)).toEqual({ a: 1, b: 10 })
    expect(plan(scheduler, 8)).toEqual({ a: 1, b: 5, c: 3 })
    expect(plan(scheduler, 8)).toEqual({ a: 1, b: 1, c: 2 })
  })

  test("does not count the last token of a cached prompt", () => {
    const scheduler = makeScheduler({ blockSize: 4 })
    const prompt = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    scheduler.addRequest(makeRequest(prompt, { requestId: "a" }))
    plan(scheduler, 1)
    scheduler.addRequest(makeRequest(prompt, { requestId: "b" }))
    scheduler.addRequest(makeRequest(prompt, { requestId: "c" }))
    expect(plan(scheduler, 1)).toEqual({ a: 1, b: 1, c: 1 })
  })

  test("gives back what a preempted request had of it", () => {
    const scheduler = makeScheduler({ numBlocks: 1 + 6, blockSize: 4, maxModelLen: 24, policy: "priority" })
    scheduler.addRequest(makeRequest(3, { requestId: "a", priority: 1 }))
    plan(scheduler, 100)
    scheduler.addRequest(makeRequest(18, { requestId: "b", priority: 5 }))
    scheduler.addRequest(makeRequest(2, { requestId: "c", priority: 0 }))
    for (let i = 0; i < 12; i++) plan(scheduler, 4)
    expect(scheduler.makeStats().numPreemptions).toBeGreaterThan(0)
  })
})
