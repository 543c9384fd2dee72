import { describe, expect, test } from "bun:test"
import type { BlockHash } from "../../../../src/core/kv/block-hash.ts"
import type { KVBlock } from "../../../../src/core/kv/block.ts"
import { BlockPool } from "../../../../src/core/kv/block-pool.ts"
import { ids, storedBlock } from "../harness.ts"

const hashA = "a" as BlockHash
const hashB = "b" as BlockHash

function makePool(numBlocks = 6) {
  return new BlockPool(numBlocks, { enableCaching: true, numGroups: 2 })
}

describe("BlockPool", () => {
  test("keeps block 0 and hands out the others in order", () => {
    const pool = makePool()
    expect(pool.numFreeBlocks).toBe(5)
    expect(ids(pool.allocate(5))).toEqual([1, 2, 3, 4, 5])
    expect(pool.usage).toBe(1)
    expect(() => pool.allocate(1)).toThrow("want 1 free blocks, have 0")
    expect(new BlockPool(1, { enableCaching: true }).usage).toBe(0)
  })

  test("freed: nameless blocks to the head, named ones to the tail, each in the given order", () => {
    const pool = makePool()
    const [b1, b2, b3, b4] = pool.allocate(4) as [KVBlock, KVBlock, KVBlock, KVBlock]
    pool.cache(storedBlock(b1.id, hashA, 0))
    pool.cache(storedBlock(b3.id, hashB, 0))
    pool.free([b4, b3, b2, b1].map((b) => b.id))
    expect(pool.freeBlockIds()).toEqual([4, 2, 5, 3, 1])
  })

  test("a shared block is free when its last holder lets go", () => {
    const pool = makePool()
    const [block] = pool.allocate(1) as [KVBlock]
    pool.touch(block)
    pool.free([block.id])
    expect(block.refCount).toBe(1)
    pool.free([block.id, 0])
    expect(block.refCount).toBe(0)
    expect(() => pool.free([block.id])).toThrow("block 1 released twice")
  })

  test("a hit revives a free block; handing it out forgets what it held", () => {
    const pool = makePool(3)
    const [b1] = pool.allocate(1) as [KVBlock]
    pool.cache(storedBlock(b1.id, hashA, 0))
    pool.free([1])
    expect(pool.lookup(hashA, 0)).toBe(b1)
    pool.touch(b1)
    expect(pool.freeBlockIds()).toEqual([2])
    pool.free([1])
    pool.allocate(2)
    expect(pool.lookup(hashA, 0)).toBeNull()
    expect(b1.hash).toBeNull()
  })

  test("equal content stays in two blocks; the oldest that is left is found", () => {
    const pool = makePool()
    const [b1, b2, b3] = pool.allocate(3) as [KVBlock, KVBlock, KVBlock]
    for (const block of [b2, b1, b3]) pool.cache(storedBlock(block.id, hashA, 0))
    expect(pool.lookup(hashA, 0)).toBe(b2)
    pool.evict([2])
    expect(pool.lookup(hashA, 0)).toBe(b1)
    pool.evict([1, 3])
    expect(pool.lookup(hashA, 0)).toBeNull()
  })

  test("groups do not see each other's blocks", () => {
    const pool = makePool()
    const [b1, b2] = pool.allocate(2) as [KVBlock, KVBlock]
    pool.cache(storedBlock(b1.id, hashA, 0))
    expect(pool.lookup(hashA, 1)).toBeNull()
    pool.cache(storedBlock(b2.id, hashA, 1))
    expect([pool.lookup(hashA, 0), pool.lookup(hashA, 1)]).toEqual([b1, b2])
    expect(() => pool.cache(storedBlock(b1.id, hashB, 0))).toThrow("block 1 already has a name")
  })

  test("a reset forgets names, keeps the free order, and refuses while blocks are in use", () => {
    const pool = makePool(4)
    const [b1] = pool.allocate(1) as [KVBlock]
    pool.cache(storedBlock(b1.id, hashA, 0))
    expect(pool.resetCache()).toBe(false)
    expect(pool.lookup(hashA, 0)).toBe(b1)
    pool.free([1])
    expect(pool.resetCache()).toBe(true)
    expect(pool.lookup(hashA, 0)).toBeNull()
    expect(pool.freeBlockIds()).toEqual([2, 3, 1])
  })

  test("verify sees a wrong count", () => {
    const pool = makePool(3)
    pool.allocate(1)
    pool.verify(Int32Array.of(0, 1, 0))
    expect(() => pool.verify(Int32Array.of(0, 2, 0))).toThrow("block 1: refCount=1, in 2 tables")
  })
})
