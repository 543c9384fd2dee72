import { describe, expect, test } from "bun:test"
import { makeRequest, makeScheduler, scheduledTokens, step } from "./harness.ts"

describe("a blocked request", () => {
  test("is passed over, keeps its place in line, and is counted by reason", () => {
    const scheduler = makeScheduler({ maxNumSeqs: 1 })
    scheduler.addRequest(makeRequest(4, { requestId: "a", blockedBy: ["grammar"] }))
    for (const id of ["b", "c"]) scheduler.addRequest(makeRequest(4, { requestId: id }))
    expect(scheduledTokens(step(scheduler))).toEqual({ b: 4 })
    const numBlocked = { grammar: 1, stale_output: 0, remote_kv: 0 }
    expect(scheduler.makeStats()).toMatchObject({ numRunning: 1, numWaiting: 1, numDeferred: 1, numBlocked })
    scheduler.unblock("a", "grammar")
    scheduler.verify()
    expect(scheduler.makeStats()).toMatchObject({ numWaiting: 2, numDeferred: 0 })
    scheduler.finishRequests("b", "abort")
    expect(scheduledTokens(step(scheduler))).toEqual({ a: 4 })
  })

  test("waits for all its reasons, and for no others", () => {
    const scheduler = makeScheduler()
    scheduler.addRequest(makeRequest(4, { requestId: "a", blockedBy: ["grammar", "remote_kv"] }))
    for (const reason of ["stale_output", "grammar", "grammar"] as const) {
      scheduler.unblock("a", reason)
      expect(step(scheduler).requests).toEqual([])
    }
    scheduler.unblock("nobody", "remote_kv")
    scheduler.unblock("a", "remote_kv")
    expect(scheduledTokens(step(scheduler))).toEqual({ a: 4 })
    scheduler.unblock("a", "remote_kv")
    expect(scheduledTokens(step(scheduler))).toEqual({ a: 1 })
  })

  test("is no work", () => {
    const scheduler = makeScheduler()
    scheduler.addRequest(makeRequest(4, { requestId: "a", blockedBy: ["grammar"] }))
    expect([scheduler.hasWork(), scheduler.hasUnfinishedRequests()]).toEqual([false, false])
    scheduler.unblock("a", "grammar")
    expect([scheduler.hasWork(), scheduler.hasUnfinishedRequests()]).toEqual([true, true])
  })

  test("keeps its place by priority too", () => {
    const scheduler = makeScheduler({ policy: "priority", maxNumSeqs: 1 })
    scheduler.addRequest(makeRequest(4, { requestId: "low", priority: 2 }))
    scheduler.addRequest(makeRequest(4, { requestId: "high", priority: 1, blockedBy: ["remote_kv"] }))
    scheduler.unblock("high", "remote_kv")
    expect(scheduledTokens(step(scheduler))).toEqual({ high: 4 })
  })

  test("may be aborted, or end with an error; nothing is left of it", () => {
    const scheduler = makeScheduler()
    for (const id of ["a", "b"]) scheduler.addRequest(makeRequest(4, { requestId: id, blockedBy: ["grammar"] }))
    expect(scheduler.finishRequests("a", "abort")).toHaveLength(1)
    const failure = { message: "the grammar has no rule named root", isCallersFault: true }
    const output = scheduler.failRequest("b", failure)
    expect(output).toMatchObject({ requestId: "b", newTokenIds: [], finishReason: "error", failure })
    expect(scheduler.failRequest("b", failure)).toBeNull()
    scheduler.verify()
    expect(step(scheduler).finishedRequestIds).toEqual(["a", "b"])
    expect(scheduler.makeStats()).toMatchObject({ numRunning: 0, numWaiting: 0, numDeferred: 0 })
  })
})
