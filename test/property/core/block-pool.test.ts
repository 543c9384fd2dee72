import { expect, test } from "bun:test"
import fc from "fast-check"
import type { BlockHash } from "../../../src/core/kv/block-hash.ts"
import { BlockPool } from "../../../src/core/kv/block-pool.ts"
import { storedBlock } from "../../unit/core/harness.ts"

const NUM_BLOCKS = 9
const HASHES = ["x", "y", "z"] as BlockHash[]

/** The pool as one would write it without a thought for speed. */
class NaivePool {
  refCounts = new Array<number>(NUM_BLOCKS).fill(0)
  free = Array.from({ length: NUM_BLOCKS - 1 }, (_, i) => i + 1)
  /** Oldest first. */
  named: { id: number; hash: BlockHash; groupId: number }[] = []

  allocate(count: number): number[] {
    const ids = this.free.splice(0, count)
    this.evict(ids)
    for (const id of ids) this.refCounts[id] = 1
    return ids
  }

  touch(id: number): void {
    this.free = this.free.filter((other) => other !== id)
    this.refCounts[id] = (this.refCounts[id] ?? 0) + 1
  }

  release(ids: number[]): void {
    const idle = ids.filter((id) => --(this.refCounts as number[])[id]! === 0)
    const isNamed = (id: number) => this.named.some((entry) => entry.id === id)
    this.free = [...idle.filter((id) => !isNamed(id)), ...this.free, ...idle.filter(isNamed)]
  }

  lookup(hash: BlockHash, groupId: number): number | null {
    return this.named.find((entry) => entry.hash === hash && entry.groupId === groupId)?.id ?? null
  }

  evict(ids: number[]): void {
    this.named = this.named.filter((entry) => !ids.includes(entry.id))
  }
}

const op = fc.record({
  kind: fc.constantFrom("allocate", "free", "cache", "hit", "evict", "reset"),
  count: fc.nat(3),
  at: fc.nat(20),
  hash: fc.constantFrom(...HASHES),
  groupId: fc.nat(1),
})

test("the block pool behaves like the naive one", () => {
  fc.assert(
    fc.property(fc.array(op, { maxLength: 80 }), (ops) => {
      const pool = new BlockPool(NUM_BLOCKS, { numGroups: 2, enableCaching: true })
      const naive = new NaivePool()
      /** One entry a holder. */
      let held: number[] = []
      for (const { kind, count, at, hash, groupId } of ops) {
        if (kind === "allocate" && count <= naive.free.length) {
          const ids = pool.allocate(count).map((block) => block.id)
          expect(ids).toEqual(naive.allocate(count))
          held.push(...ids)
        } else if (kind === "free") {
          // A request never holds a block twice.
          const ids = [...new Set(held.slice(at % (held.length + 1)))].slice(0, count)
          for (const id of ids) held.splice(held.indexOf(id), 1)
          pool.free(ids)
          naive.release(ids)
        } else if (kind === "cache" && held.length > 0) {
          const id = held[at % held.length] as number
          if (naive.named.some((entry) => entry.id === id)) continue
          pool.cache(storedBlock(id, hash, groupId))
          naive.named.push({ id, hash, groupId })
        } else if (kind === "hit") {
          const block = pool.lookup(hash, groupId)
          expect(block?.id ?? null).toBe(naive.lookup(hash, groupId))
          if (block === null) continue
          pool.touch(block)
          naive.touch(block.id)
          held.push(block.id)
        } else if (kind === "evict") {
          pool.evict([at % NUM_BLOCKS])
          naive.evict([at % NUM_BLOCKS])
        } else if (kind === "reset") {
          expect(pool.resetCache()).toBe(held.length === 0)
          if (held.length === 0) naive.named = []
        }
        expect(pool.freeBlockIds()).toEqual(naive.free)
        for (const h of HASHES) for (const g of [0, 1]) expect(pool.lookup(h, g)?.id ?? null).toBe(naive.lookup(h, g))
        const holders = new Int32Array(NUM_BLOCKS)
        for (const id of held) holders[id] = (holders[id] ?? 0) + 1
        pool.verify(holders)
      }
    }),
  )
})
