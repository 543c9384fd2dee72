import { expect, test } from "bun:test"
import type { BlockObserver } from "../../../../src/core/kv/block-observer.ts"
import { KVManager } from "../../../../src/core/kv/kv-manager.ts"
import { Scheduler } from "../../../../src/core/scheduler.ts"
import { makeSchedulerConfig } from "../../../../src/core/scheduler-config.ts"
import { kvConfigOf, makeRequest, range, step } from "../harness.ts"

/** Writes down what it hears. */
function recorder(): { observer: BlockObserver; take: () => string[] } {
  let heard: string[] = []
  const observer: BlockObserver = {
    allocated: (id) => heard.push(`allocated ${id}`),
    stored: ({ blockId, groupId, parentHash, tokenIds, start, end }) => {
      const parent = parentHash === null ? "first" : "next"
      heard.push(`stored ${blockId} in ${groupId}, ${parent}: ${tokenIds.slice(start, end)}`)
    },
    removed: (id, groupId) => heard.push(`removed ${id} in ${groupId}`),
    hit: (id) => heard.push(`hit ${id}`),
    cleared: () => heard.push("cleared"),
  }
  return { observer, take: () => heard.splice(0) }
}

test("an observer hears of every block that is handed out, named, found and forgotten", () => {
  const { observer, take } = recorder()
  const config = makeSchedulerConfig({ maxModelLen: 64, maxNumSeqs: 4 })
  const kv = kvConfigOf({ numBlocks: 4, blockSize: 2 })
  const scheduler = new Scheduler(config, kv, { clock: () => 0, observers: [observer] })
  scheduler.addRequest(makeRequest(range(5), { requestId: "a" }))
  step(scheduler)
  expect(take()).toEqual([
    "allocated 1", "allocated 2", "allocated 3", "stored 1 in 0, first: 0,1", "stored 2 in 0, next: 2,3",
  ])
  scheduler.finishRequests("a", "abort")
  expect(take()).toEqual([])
  scheduler.addRequest(makeRequest([0, 1, 9], { requestId: "b" }))
  step(scheduler)
  expect(take()).toEqual(["hit 1", "allocated 3"])
  scheduler.addRequest(makeRequest([8, 8], { requestId: "c" }))
  step(scheduler)
  expect(take()).toEqual(["stored 3 in 0, next: 9,7", "removed 2 in 0", "allocated 2", "stored 2 in 0, first: 8,8"])
  scheduler.finishRequests(null, "abort")
  expect([scheduler.resetPrefixCache(), take()]).toEqual([true, ["cleared"]])
})

test("several observers hear the same", () => {
  const [a, b] = [recorder(), recorder()]
  const limits = { maxModelLen: 64, maxNumBatchedTokens: 64, watermark: 0 }
  const kv = new KVManager({ ...kvConfigOf({ numBlocks: 9, blockSize: 2 }), ...limits }, [a.observer, b.observer])
  const request = makeRequest(4)
  kv.admit(request, 4, { hit: kv.findPrefixHit(request), fullSequenceMustFit: false, keepsWatermark: false })
  expect(a.take()).toHaveLength(4)
  expect(b.take()).toHaveLength(4)
})
