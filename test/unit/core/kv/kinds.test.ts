import { describe, expect, test } from "bun:test"
import { KVManager } from "../../../../src/core/kv/kv-manager.ts"
import type { KVCacheSpec } from "../../../../src/core/kv/kv-spec.ts"
import type { Request } from "../../../../src/core/request.ts"
import { makeSchedulerConfig } from "../../../../src/core/scheduler-config.ts"
import { Scheduler } from "../../../../src/core/scheduler.ts"
import { makeRequest, range, resultOf, specOf, step } from "../harness.ts"

const state = (blockSize: number): KVCacheSpec => ({ kind: "state", blockSize, stateSize: 8, dtypeBytes: 4 })
const cross: KVCacheSpec = { ...specOf(4, null), kind: "cross", maxEncoderTokens: 12 } as KVCacheSpec

function kvOf(specs: readonly KVCacheSpec[], enablePrefixCaching = true) {
  const groups = specs.map((spec, layer) => ({ spec, layers: [layer], pageBytes: 64 }))
  return { numBlocks: 40, groups, enablePrefixCaching }
}

function managerOf(...specs: KVCacheSpec[]): KVManager {
  return new KVManager({ ...kvOf(specs), maxModelLen: 100, maxNumBatchedTokens: 100, watermark: 0 })
}

function schedulerOf(specs: readonly KVCacheSpec[], config = {}): Scheduler {
  const limits = { maxModelLen: 100, maxNumSeqs: 4, maxNumBatchedTokens: 100, ...config }
  return new Scheduler(makeSchedulerConfig(limits), kvOf(specs), { clock: () => 0 })
}

/** Admits the request over its next tokens, as the scheduler does. */
function admit(kv: KVManager, request: Request, numTokens: number): void {
  const hit = kv.findPrefixHit(request)
  expect(kv.admit(request, numTokens, { hit, fullSequenceMustFit: false, keepsWatermark: false })).toBe(true)
  request.admit(hit)
  request.numComputedTokens += numTokens
}

describe("latent attention", () => {
  test("is given blocks as full attention is", () => {
    const kv = managerOf({ kind: "mla", blockSize: 4, rank: 6, ropeDim: 2, dtypeBytes: 2 })
    admit(kv, makeRequest(range(9), { requestId: "a" }), 9)
    expect(kv.blockIds("a")).toEqual([1, 2, 3])
    expect(kv.findPrefixHit(makeRequest([...range(9), 9])).blockIdsByGroup).toEqual([[1, 2]])
  })
})

describe("a state", () => {
  test("has one block a request, and the one before while a step reads it", () => {
    const scheduler = schedulerOf([state(4)], { maxNumBatchedTokens: 8 })
    scheduler.addRequest(makeRequest(range(18), { requestId: "a" }))
    const tables = range(7).map(() => step(scheduler).requests[0]?.blockIds.slice())
    expect(tables).toEqual([
      [0, 1], [0, 1, 0, 2], [0, 0, 0, 2, 1].map((id, i) => (i === 4 ? 3 : id)), [0, 0, 0, 0, 3], [0, 0, 0, 0, 3],
      [0, 0, 0, 0, 3, 4], [0, 0, 0, 0, 0, 4],
    ])
  })

  test("is found where a step ended on a block boundary, and nowhere inside", () => {
    const scheduler = schedulerOf([state(4)])
    scheduler.addRequest(makeRequest(range(18), { requestId: "a" }))
    expect(step(scheduler).requests).toMatchObject([{ numScheduledTokens: 16 }])
    expect(step(scheduler).requests).toMatchObject([{ numScheduledTokens: 2, samples: true }])
    const hitOf = (length: number) => scheduler.kv.findPrefixHit(makeRequest(range(length))).numTokens
    expect([hitOf(18), hitOf(17), hitOf(16), hitOf(9)]).toEqual([16, 16, 0, 0])
    const judged = makeRequest(range(18), { sampling: { promptLogprobs: 1 } })
    expect(scheduler.kv.findPrefixHit(judged).numTokens).toBe(0)
  })

  test("that this very step computes is not there yet for others of the step", () => {
    const scheduler = schedulerOf([state(4)])
    for (const id of ["a", "b"]) scheduler.addRequest(makeRequest(range(10), { requestId: id }))
    const first = step(scheduler)
    expect(first.requests.map((r) => [r.numComputedTokens, r.numScheduledTokens])).toEqual([[0, 8], [0, 8]])
    scheduler.addRequest(makeRequest(range(10), { requestId: "c" }))
    expect(step(scheduler).requests.at(-1)).toMatchObject({ requestId: "c", numComputedTokens: 8 })
  })

  test("takes no drafts, which it could not take back", () => {
    const scheduler = schedulerOf([state(4)])
    scheduler.addRequest(makeRequest(range(4), { requestId: "a" }))
    step(scheduler)
    scheduler.updateDraftTokens(new Map([["a", [1, 2]]]))
    expect(step(scheduler).requests).toMatchObject([{ numScheduledTokens: 1, draftTokenIds: [] }])
  })
})

describe("cross attention", () => {
  test("has the blocks of the encoder's output from the admission on, and shares nothing", () => {
    const scheduler = schedulerOf([specOf(4, null), cross])
    scheduler.addRequest(makeRequest(range(5), { requestId: "a", numEncoderTokens: 10 }))
    for (const numDecoder of [2, 2, 2, 2, 3]) {
      const plan = scheduler.schedule()
      scheduler.updateFromOutput(plan, resultOf(plan))
      expect(plan.requests[0]?.blockIdsByGroup.map((ids) => ids.length)).toEqual([numDecoder, 3])
    }
    scheduler.addRequest(makeRequest(range(5), { requestId: "b", numEncoderTokens: 10 }))
    expect(step(scheduler).requests.at(-1)).toMatchObject({ numComputedTokens: 0, numCachedTokens: 0 })
    scheduler.finishRequests(null, "abort")
    expect(scheduler.kvCacheUsage).toBe(0)
  })
})

describe("groups of unequal blocks", () => {
  test("are hit where all of them have a boundary, each by the last name inside its block", () => {
    const kv = managerOf(specOf(4, null), specOf(2, 3))
    expect(kv.blockSize).toBe(2)
    admit(kv, makeRequest(range(11), { requestId: "a" }), 11)
    expect(kv.blockIdsByGroup("a")).toEqual([[1, 2, 3], [4, 5, 6, 7, 8, 9]])
    const hit = kv.findPrefixHit(makeRequest([...range(10), 77, 78]))
    expect(hit).toMatchObject({ numTokens: 8, blockIdsByGroup: [[1, 2], [0, 0, 0, 7]] })
    expect(kv.findPrefixHit(makeRequest(range(8)))).toMatchObject({ numTokens: 4, blockIdsByGroup: [[1], [0, 5]] })
  })
})

test("a model that keeps nothing runs without a cache", () => {
  const scheduler = schedulerOf([])
  scheduler.addRequest(makeRequest(range(5), { requestId: "a" }))
  expect(step(scheduler).requests).toMatchObject([{ numScheduledTokens: 5, blockIds: [], blockIdsByGroup: [] }])
  expect(step(scheduler).requests).toMatchObject([{ numScheduledTokens: 1, numCachedTokens: 0 }])
})
