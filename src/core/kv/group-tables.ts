import { assert } from "../../base/assert.ts"
import { ceilDiv } from "../../base/math.ts"
import type { TokenSequence } from "../token-list.ts"
import type { AttentionPolicy, HitLimits } from "./attention-policy.ts"
import type { BlockHash } from "./block-hash.ts"
import type { BlockPool } from "./block-pool.ts"
import { NULL_BLOCK_ID } from "./block.ts"
import type { KVCacheSpec } from "./kv-spec.ts"
import { policyOf } from "./policy-of.ts"

/** One request's blocks in one group. Cell i covers the tokens [i * blockSize, (i + 1) * blockSize). */
interface BlockTable {
  /** Grows at the end; a cell may turn into the null block; nothing else changes. */
  readonly blockIds: number[]
  /** The first cells, whose blocks have been named (or were hits, or null). */
  numCached: number
  /** The first cells, which are all the null block: what they held was given back. */
  numReleased: number
}

/** A request's tokens and the names of the blocks that they fill. */
export interface NamedTokens {
  readonly requestId: string
  readonly tokenIds: TokenSequence
  readonly blockHashes: readonly BlockHash[]
}

const NO_BLOCKS: readonly number[] = []

/** The block tables of one KV cache group. */
export class GroupTables {
  readonly policy: AttentionPolicy
  readonly #pool: BlockPool
  readonly #groupId: number
  readonly blockSize: number
  /** Names of the request's tokens that one block covers: it is known by the last of them. */
  readonly #namesPerBlock: number
  /** Blocks named since the last step began. */
  readonly #fresh = new Set<number>()
  /** Request id -> its table; there is one iff the request holds, or was given, blocks. */
  readonly #tables = new Map<string, BlockTable>()

  /** `tokensPerName` divides the spec's block size. */
  constructor(pool: BlockPool, groupId: number, spec: KVCacheSpec, tokensPerName: number) {
    this.#pool = pool
    this.#groupId = groupId
    this.blockSize = spec.blockSize
    this.#namesPerBlock = spec.blockSize / tokensPerName
    this.policy = policyOf(spec)
  }

  get numTables(): number {
    return this.#tables.size
  }

  /** The request's live block table; of an unknown request, an empty one. */
  blockIds(requestId: string): readonly number[] {
    return this.#tables.get(requestId)?.blockIds ?? NO_BLOCKS
  }

  /** The layers of a step run one after the other, so what a layer needs whole before it begins is not there yet. */
  newStep(): void {
    if (this.#fresh.size > 0) this.#fresh.clear()
  }

  /** `names` are the request's. */
  findLongestHit(names: readonly BlockHash[], limits: HitLimits): number[] {
    const per = this.#namesPerBlock
    const hashes = per === 1 ? names : names.filter((_, i) => (i + 1) % per === 0)
    return this.policy.findLongestHit(hashes, limits, (hash) => {
      const block = this.#pool.lookup(hash, this.#groupId)
      return block !== null && this.#fresh.has(block.id) ? null : block
    })
  }

  /** Blocks that a request with a table needs from the pool for its first `numTokens` tokens. */
  numBlocksToGrow(requestId: string, numTokens: number): number {
    return this.#numBlocksFor(ceilDiv(numTokens, this.blockSize) - this.blockIds(requestId).length)
  }

  /** Blocks that so many new cells take. */
  #numBlocksFor(numCells: number): number {
    return Math.max(0, this.policy.holdsState ? Math.min(1, numCells) : numCells)
  }

  /**
   * The same for a request without one that starts from a hit, of which `numComputedTokens` are used. Free blocks of
   * the hit count, since reviving them takes them out of the free queue.
   */
  numBlocksToAdmit(hit: readonly number[], numComputedTokens: number, numTokens: number): number {
    const numSkippedBlocks = Math.floor(this.policy.numSkippedTokens(numComputedTokens) / this.blockSize)
    let need = this.#numBlocksFor(ceilDiv(numTokens, this.blockSize) - Math.max(numSkippedBlocks, hit.length))
    for (let i = numSkippedBlocks; i < hit.length; i++) {
      const block = this.#pool.block(hit[i] as number)
      if (!block.isNull && block.refCount === 0) need += 1
    }
    return need
  }

  /** Starts the request's table with a prefix hit, whose blocks get one more holder. */
  attachHit(requestId: string, hit: readonly number[], numComputedTokens: number): void {
    assert(!this.#tables.has(requestId), () => `request ${requestId} already has a block table`)
    const numSkippedBlocks = Math.floor(this.policy.numSkippedTokens(numComputedTokens) / this.blockSize)
    const blockIds = hit.map((id, i) => (i < numSkippedBlocks ? NULL_BLOCK_ID : id))
    for (const id of blockIds) this.#pool.touch(this.#pool.block(id))
    this.#tables.set(requestId, { blockIds, numCached: blockIds.length, numReleased: 0 })
  }

  /** Extends the request's table over its first `numTokens` tokens. Requires: the pool has the blocks. */
  grow(requestId: string, numTokens: number): void {
    const table = this.#tables.get(requestId)
    assert(table !== undefined, () => `request ${requestId} has no block table`)
    const need = ceilDiv(numTokens, this.blockSize) - table.blockIds.length
    if (need <= 0) return
    if (this.policy.holdsState) for (let i = 1; i < need; i++) table.blockIds.push(NULL_BLOCK_ID)
    for (const block of this.#pool.allocate(this.#numBlocksFor(need))) table.blockIds.push(block.id)
  }

  /** Names the request's blocks that its first `numTokens` tokens fill. Requires: their hashes are known. */
  cacheFullBlocks(request: NamedTokens, numTokens: number): void {
    const { requestId, blockHashes, tokenIds } = request
    const nameOf = (cell: number) => blockHashes[(cell + 1) * this.#namesPerBlock - 1]
    const table = this.#tables.get(requestId)
    assert(table !== undefined, () => `request ${requestId} has no block table`)
    const numFull = Math.floor(numTokens / this.blockSize)
    for (; table.numCached < numFull; table.numCached++) {
      const cell = table.numCached
      const [blockId, hash, parentHash = null] = [table.blockIds[cell], nameOf(cell), nameOf(cell - 1)]
      assert(blockId !== undefined && hash !== undefined, () => `request ${requestId}: no block or hash ${cell}`)
      if (blockId === NULL_BLOCK_ID) continue
      const [start, end] = [cell * this.blockSize, (cell + 1) * this.blockSize]
      this.#pool.cache({ blockId, groupId: this.#groupId, hash, parentHash, tokenIds, start, end })
      if (this.policy.holdsState) this.#fresh.add(blockId)
    }
  }

  /** Takes back the names of blocks that reach beyond the first `numTokens` tokens: they won't be filled after all. */
  uncacheBlocksAfter(requestId: string, numTokens: number): void {
    const table = this.#tables.get(requestId)
    if (table === undefined) return
    const numFull = Math.floor(numTokens / this.blockSize)
    this.#pool.evict(table.blockIds.slice(numFull, table.numCached))
    table.numCached = Math.min(table.numCached, numFull)
  }

  /** Gives back the blocks that no query at position `numComputedTokens` or later reads. */
  releaseSkippedBlocks(requestId: string, numComputedTokens: number): void {
    const numSkippedBlocks = Math.floor(this.policy.numSkippedTokens(numComputedTokens) / this.blockSize)
    if (numSkippedBlocks === 0) return
    const table = this.#tables.get(requestId)
    if (table === undefined) return
    const { blockIds, numReleased } = table
    const end = Math.min(numSkippedBlocks, blockIds.length)
    const released: number[] = []
    for (let i = end - 1; i >= numReleased; i--) {
      const id = blockIds[i] as number
      if (id === NULL_BLOCK_ID) continue
      released.push(id)
      blockIds[i] = NULL_BLOCK_ID
    }
    table.numReleased = Math.max(numReleased, end)
    this.#pool.free(released)
  }

  /** Gives back all the request's blocks, its end first: a later hit needs the beginning most. */
  free(requestId: string): void {
    const table = this.#tables.get(requestId)
    if (table === undefined) return
    this.#tables.delete(requestId)
    this.#pool.free(table.blockIds.toReversed())
  }

  /** Adds one for every block in every table. For `BlockPool.verify`. */
  countHolders(holders: Int32Array): void {
    for (const { blockIds } of this.#tables.values()) {
      for (const id of blockIds) if (id !== NULL_BLOCK_ID) holders[id] = (holders[id] ?? 0) + 1
    }
  }
}
