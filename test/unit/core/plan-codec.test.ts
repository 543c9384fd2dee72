import { describe, expect, test } from "bun:test"
import { type PlanMessage, PlanReader, PlanWriter } from "../../../src/core/plan-codec.ts"
import type { SchedulePlan } from "../../../src/core/schedule-plan.ts"
import { makeRequest, makeScheduler, range, resultOf } from "./harness.ts"

const throughJson = (message: PlanMessage) => JSON.parse(JSON.stringify(message)) as PlanMessage

/** A plan as it is now: what its live views show. */
function snapshot(plan: SchedulePlan): unknown {
  const requests = plan.requests.map((request) => ({
    ...request, tokenIds: request.tokenIds.slice(), blockIds: request.blockIds.slice(),
    blockIdsByGroup: request.blockIdsByGroup.map((ids) => ids.slice()),
  }))
  return { ...plan, requests }
}

describe("plans as plain data", () => {
  test("come out as they went in, with blocks given back, drafts, preemption and resumption", () => {
    const kv = { numBlocks: 17, blockSize: 2, hybridWindow: 3 }
    const scheduler = makeScheduler({ ...kv, maxNumBatchedTokens: 6, maxNumSeqs: 3 })
    const [writer, reader] = [new PlanWriter(), new PlanReader()]
    const seen = { isNew: 0, known: 0, preempted: 0, finished: 0, nulls: 0, drafts: 0 }
    const inputs = { adapter: "x", encoderInputs: [{ key: "i", offset: 1, numTokens: 2 }] }
    const logitBias = new Map([[5, -1.5], [9, 2]])
    for (const id of ["a", "b", "c"]) {
      const sampling = { seed: 2n ** 63n - 1n, logitBias, maxTokens: 8, promptLogprobs: 2 }
      scheduler.addRequest(makeRequest(range(7, id.charCodeAt(0)), { requestId: id, sampling, ...inputs }))
    }
    for (let step = 0; step < 60; step++) {
      const plan = scheduler.schedule()
      const read = reader.read(throughJson(writer.write(plan)))
      expect(snapshot(read)).toEqual(snapshot(plan))
      for (const { isNew, blockIdsByGroup, draftTokenIds } of read.requests) {
        seen[isNew ? "isNew" : "known"] += 1
        seen.nulls += isNew ? 0 : (blockIdsByGroup[1] ?? []).filter((id) => id === 0).length
        seen.drafts += draftTokenIds.length
      }
      seen.preempted += plan.preemptedRequestIds.length
      seen.finished += plan.finishedRequestIds.length
      const judged = plan.requests.flatMap(({ requestId, promptLogprobs: range }) => {
        const entry = { tokenId: 1, logprob: 0, rank: 1, topIds: [], topLogprobs: [] }
        return range === null ? [] : [[requestId, Array(range.end - range.first).fill(entry)] as const]
      })
      scheduler.updateFromOutput(plan, { ...resultOf(plan), promptLogprobs: new Map(judged) })
      scheduler.updateDraftTokens(new Map(plan.requests.map(({ requestId }) => [requestId, [7, 3]])))
    }
    for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(0)
    expect(scheduler.hasWork()).toBe(false)
  })

  test("a decode step of a known request says little", () => {
    const scheduler = makeScheduler({ numBlocks: 100, blockSize: 16 })
    const writer = new PlanWriter()
    scheduler.addRequest(makeRequest(range(40), { requestId: "a" }))
    const first = scheduler.schedule()
    const inFull = { isNew: true, tokenIds: range(40), blockIdsByGroup: [[1, 2, 3]] }
    expect(writer.write(first).requests).toMatchObject([inFull])
    scheduler.updateFromOutput(first, resultOf(first))
    expect(writer.write(scheduler.schedule()).requests).toEqual([{
      isNew: false, requestId: "a", numComputedTokens: 40, numScheduledTokens: 1, numCachedTokens: 0,
      promptLogprobs: null, numUnknownTokens: 0, draftTokenIds: [], samples: true, encodes: [],
      newTokenIds: [7], newBlockIds: [[]], numNullCells: [0],
    }])
  })

  test("that miss one are noticed", () => {
    const scheduler = makeScheduler()
    const writer = new PlanWriter()
    scheduler.addRequest(makeRequest(4, { requestId: "a" }))
    const first = scheduler.schedule()
    const message = writer.write(first)
    scheduler.updateFromOutput(first, resultOf(first))
    const second = scheduler.schedule()
    expect(() => new PlanWriter().write(second)).toThrow("a is not new, and no plan had it before")
    expect(() => new PlanReader().read(writer.write(second))).toThrow("a comes as known, and is not")
    const reader = new PlanReader()
    reader.read(message)
    expect(() => reader.read(message)).toThrow("a comes as new, and is known")
  })
})
