import { expect, test } from "bun:test"
import type { BlockHash } from "../../../../src/core/kv/block-hash.ts"
import { BlockPool } from "../../../../src/core/kv/block-pool.ts"
import { BlockResidency } from "../../../../src/core/kv/block-residency.ts"
import { storedBlock } from "../harness.ts"

test("a block lives from one hand-out to the next, and is idle since its last hit", () => {
  let now = 100
  const residency = new BlockResidency(1, () => now)
  const pool = new BlockPool(2, { enableCaching: true, observers: [residency] })
  const [block] = pool.allocate(1)
  pool.cache(storedBlock(block!.id, "name" as BlockHash, 0))
  pool.free([block!.id])
  for (const time of [103, 107, 110, 111, 112]) {
    now = time
    pool.touch(block!)
    pool.free([block!.id])
  }
  expect(residency.takeEvictions()).toEqual([])
  now = 120
  pool.allocate(1)
  // The last four hits are kept.
  expect(residency.takeEvictions()).toEqual([{ lifetime: 20, idle: 8, reuseGaps: [3, 1, 1] }])
  expect(residency.takeEvictions()).toEqual([])
})

test("a block that nobody hits is idle all its life", () => {
  let now = 1
  const residency = new BlockResidency(1, () => now)
  residency.allocated(7)
  residency.hit(8)
  now = 3
  residency.allocated(7)
  expect(residency.takeEvictions()).toEqual([{ lifetime: 2, idle: 2, reuseGaps: [] }])
})

test("the sample is the share asked for; a reset forgets without a word", () => {
  const residency = new BlockResidency(0.25, () => 0)
  for (let id = 1; id <= 400; id++) residency.allocated(id)
  for (let id = 1; id <= 400; id++) residency.allocated(id)
  expect(residency.takeEvictions()).toHaveLength(100)
  residency.cleared()
  for (let id = 1; id <= 400; id++) residency.allocated(id)
  expect(residency.takeEvictions()).toEqual([])
})
