import { assert } from "../../base/assert.ts"
import type { BlockHash } from "./block-hash.ts"
import type { BlockObserver, StoredBlock } from "./block-observer.ts"
import { KVBlock, NULL_BLOCK_ID } from "./block.ts"
import { FreeQueue } from "./free-queue.ts"

/** One block of a name, or, where several physical blocks hold the same content, those by id, oldest first. */
type CachedBlocks = KVBlock | Map<number, KVBlock>

/**
 * All the KV cache's blocks: who may take one, and which full ones can be found by name.
 *
 * Invariants:
 *   1. every block but the null block is free (in the queue, refCount 0) or in use (refCount > 0);
 *   2. a block is in the cache of its group under `hash` iff `hash` is set;
 *   3. equal content in two blocks stays in two blocks: block tables never have an entry replaced by its twin.
 * Mutated by the KV manager alone. Not here: which request holds what, and which tokens a block covers.
 * Source: the same pool as vLLM V1's, whose eviction order it reproduces exactly.
 */
export class BlockPool {
  readonly #blocks: KVBlock[] = []
  readonly #free: FreeQueue
  /** By group: name -> blocks. */
  readonly #cached: Map<BlockHash, CachedBlocks>[]
  readonly #enableCaching: boolean
  readonly #observers: readonly BlockObserver[]

  constructor(
    numBlocks: number, options: { numGroups?: number; enableCaching: boolean; observers?: readonly BlockObserver[] },
  ) {
    assert(Number.isInteger(numBlocks) && numBlocks > 0, () => `numBlocks=${numBlocks}`)
    for (let id = 0; id < numBlocks; id++) this.#blocks.push(new KVBlock(id))
    this.#free = new FreeQueue(this.#blocks.slice(1))
    this.#cached = Array.from({ length: options.numGroups ?? 1 }, () => new Map())
    this.#enableCaching = options.enableCaching
    this.#observers = options.observers ?? []
  }

  /** The null block included. */
  get numBlocks(): number {
    return this.#blocks.length
  }

  get numFreeBlocks(): number {
    return this.#free.size
  }

  /** Share of the usable blocks that requests hold, 0 to 1. */
  get usage(): number {
    const usable = this.#blocks.length - 1
    return usable === 0 ? 0 : 1 - this.#free.size / usable
  }

  block(id: number): KVBlock {
    const block = this.#blocks[id]
    assert(block !== undefined, () => `block ${id} of ${this.#blocks.length}`)
    return block
  }

  /** The oldest block that holds `hash`'s content for the group, in use or free. */
  lookup(hash: BlockHash, groupId: number): KVBlock | null {
    const entry = this.#cached[groupId]?.get(hash)
    if (entry === undefined) return null
    if (entry instanceof KVBlock) return entry
    for (const block of entry.values()) return block
    return null
  }

  /** Takes `count` blocks for one holder; what they held is forgotten. Requires: that many are free. */
  allocate(count: number): KVBlock[] {
    const blocks = this.#free.popFirstN(count)
    for (const block of blocks) {
      assert(block.refCount === 0, () => `free block ${block.id} has refCount ${block.refCount}`)
      this.#forget(block)
      for (const observer of this.#observers) observer.allocated(block.id)
      block.refCount = 1
    }
    return blocks
  }

  /** One more holder; a free block is revived. */
  touch(block: KVBlock): void {
    if (block.isNull) return
    for (const observer of this.#observers) observer.hit(block.id)
    if (block.refCount === 0) this.#free.remove(block)
    block.refCount += 1
  }

  /**
   * One holder less for each block, null blocks ignored. Those without holders are free: nameless ones to the head
   * (they can't be hit, so reuse them first), named ones to the tail, each in the given order. Give a request's blocks
   * last block first: eviction then takes the end of a prefix before its beginning.
   */
  free(ids: Iterable<number>): void {
    const nameless: KVBlock[] = []
    for (const id of ids) {
      if (id === NULL_BLOCK_ID) continue
      const block = this.block(id)
      assert(block.refCount > 0, () => `block ${id} released twice`)
      block.refCount -= 1
      if (block.refCount > 0) continue
      if (block.hash === null) nameless.push(block)
      else this.#free.append(block)
    }
    if (nameless.length > 0) this.#free.prependAll(nameless)
  }

  /** Names a full block in use, so that others can hit it. */
  cache(stored: StoredBlock): void {
    const { hash, groupId } = stored
    const block = this.block(stored.blockId)
    assert(this.#enableCaching, "caching is off")
    assert(!block.isNull && block.refCount > 0, () => `block ${block.id} is not in use`)
    assert(block.hash === null, () => `block ${block.id} already has a name`)
    const cached = this.#cacheOf(groupId)
    block.hash = hash
    block.groupId = groupId
    const entry = cached.get(hash)
    if (entry === undefined) cached.set(hash, block)
    else if (entry instanceof KVBlock) {
      cached.set(hash, new Map([[entry.id, entry], [block.id, block]]))
    } else entry.set(block.id, block)
    for (const observer of this.#observers) observer.stored(stored)
  }

  /** Forgets what the blocks hold; their holders keep them. */
  evict(ids: Iterable<number>): void {
    for (const id of ids) this.#forget(this.block(id))
  }

  /** Forgets what all blocks of this name hold. */
  forgetName(hash: BlockHash, groupId: number): void {
    const entry = this.#cacheOf(groupId).get(hash)
    if (entry === undefined) return
    for (const block of entry instanceof KVBlock ? [entry] : [...entry.values()]) this.#forget(block)
  }

  /** Forgets every name. False, with nothing changed, while any block is in use. The free order stays. */
  resetCache(): boolean {
    if (this.#free.size !== this.#blocks.length - 1) return false
    for (const cached of this.#cached) cached.clear()
    for (const block of this.#blocks) block.hash = null
    for (const observer of this.#observers) observer.cleared()
    return true
  }

  /** Ids of the blocks to be taken next. */
  nextFree(count: number): number[] {
    return this.#free.firstN(count).map((block) => block.id)
  }

  /** Ids in eviction order. For tests. */
  freeBlockIds(): number[] {
    return this.#free.toArray().map((block) => block.id)
  }

  /** Checks the invariants against the tables that hold blocks: `holders[id]` tables hold block `id`. */
  verify(holders: Int32Array): void {
    const free = new Set(this.freeBlockIds())
    assert(free.size === this.#free.size, () => `free queue has ${free.size} blocks, counts ${this.#free.size}`)
    let numNamed = 0
    for (const block of this.#blocks) {
      if (block.isNull) continue
      const held = holders[block.id] ?? 0
      assert(block.refCount === held, () => `block ${block.id}: refCount=${block.refCount}, in ${held} tables`)
      const isFree = free.has(block.id)
      assert(isFree === (held === 0), () => `block ${block.id}: in ${held} tables, free=${isFree}`)
      if (block.hash === null) continue
      numNamed += 1
      const entry = this.#cached[block.groupId]?.get(block.hash)
      assert(entry === block || (entry instanceof Map && entry.has(block.id)), () => `block ${block.id} lost its name`)
    }
    let numCached = 0
    for (const cached of this.#cached) for (const e of cached.values()) numCached += e instanceof KVBlock ? 1 : e.size
    assert(numCached === numNamed, () => `${numNamed} named blocks, ${numCached} in the cache`)
  }

  #cacheOf(groupId: number): Map<BlockHash, CachedBlocks> {
    const cached = this.#cached[groupId]
    assert(cached !== undefined, () => `KV cache group ${groupId} of ${this.#cached.length}`)
    return cached
  }

  #forget(block: KVBlock): void {
    if (block.hash === null) return
    const cached = this.#cacheOf(block.groupId)
    const entry = cached.get(block.hash)
    if (entry === block) cached.delete(block.hash)
    else {
      assert(entry instanceof Map && entry.delete(block.id), () => `block ${block.id} is not in the cache`)
      // A map of one keeps no order worth its memory, but shrinking it back would cost more than it saves.
      if (entry.size === 0) cached.delete(block.hash)
    }
    for (const observer of this.#observers) observer.removed(block.id, block.groupId, block.hash)
    block.hash = null
  }
}
