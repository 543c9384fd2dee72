import { assert } from "../../base/assert.ts"
import { gcd } from "../../base/math.ts"
import { type BlockHash, extendBlockHashes, type HashedPrefix } from "./block-hash.ts"
import type { BlockObserver } from "./block-observer.ts"
import { BlockPool } from "./block-pool.ts"
import { NULL_BLOCK_ID } from "./block.ts"
import { GroupTables } from "./group-tables.ts"
import type { KVCacheConfig } from "./kv-spec.ts"

/** What the KV manager needs to know of a request. */
export interface KVRequest extends HashedPrefix {
  readonly requestId: string
  readonly numComputedTokens: number
  /** Tokens of steps that were planned and whose results have not come back. */
  readonly numInFlightTokens: number
  /** Tokens of its prefix hit; 0 before its admission. */
  readonly numCachedTokens: number
  /** The first position whose output it needs: it computes from there on, be the KV cached or not. */
  readonly firstNeededPosition: number
  /** What cross attention reads; 0 without an encoder. */
  readonly numEncoderTokens: number
  /** It neither uses cached prefixes nor leaves any. */
  readonly isComputedApart: boolean
}

/** A cached prefix: by group, the block table's first cells. Holds no reference: use it before the pool changes. */
export interface PrefixHit {
  readonly blockIdsByGroup: readonly (readonly number[])[]
  readonly numTokens: number
  /** Of them, those that need not be computed; the others are computed for their outputs, over KV that is there. */
  readonly numSkippedTokens: number
}

/** How a request without blocks is let in. */
export interface Admission {
  readonly hit: PrefixHit
  /** Let it in only if all its present tokens will fit. */
  readonly fullSequenceMustFit: boolean
  /** Leave the watermark's blocks free. */
  readonly keepsWatermark: boolean
}

export interface KVManagerConfig extends KVCacheConfig {
  readonly maxModelLen: number
  readonly maxNumBatchedTokens: number
  /** Share of the blocks, in [0, 1), that admission leaves free for the requests already running. */
  readonly watermark: number
}

/**
 * Gives requests their KV cache blocks, finds cached prefixes, and names full blocks so that others find them.
 *
 * Token ranges of a request when a step is planned:
 *   [0, hit)             prefix hit: blocks shared, one more holder now; never written, even where it is computed
 *   [hit, computed)      its own, KV valid or being written by a step in flight
 *   [computed, planned)  this step computes these; blocks allocated, and full ones named, now
 * Naming blocks before they are computed is what lets two equal prompts of one step share; it is sound because steps
 * run in order, so a request that hits a block reads it after it was written. A plan that is taken back must say so
 * (`uncacheUncomputed`). Draft tokens get slots but are never named.
 *
 * Invariants: a block is in as many tables as its reference count; a request has a table in every group or in none.
 */
export class KVManager {
  readonly pool: BlockPool
  /** Tokens of a name: the largest number that divides the block sizes of all groups. */
  readonly blockSize: number
  readonly enablesPrefixCaching: boolean
  /** Hits end at multiples of this, in tokens: where all groups have a block boundary. */
  readonly #alignment: number
  readonly #config: KVManagerConfig
  readonly #groups: GroupTables[]
  readonly #watermarkBlocks: number

  constructor(config: KVManagerConfig, observers: readonly BlockObserver[] = []) {
    const kept = config.groups.map(({ spec }) => spec).filter(({ kind }) => kind !== "cross")
    this.blockSize = kept.reduce((size, spec) => gcd(size, spec.blockSize), 0) || 1
    this.#alignment = kept.reduce((size, spec) => (size * spec.blockSize) / gcd(size, spec.blockSize), 1)
    // What a decoder computes depends on the encoder's output, which is in no name.
    this.enablesPrefixCaching = config.enablePrefixCaching && kept.length > 0 && kept.length === config.groups.length
    this.#config = config
    const enableCaching = this.enablesPrefixCaching
    const pool = new BlockPool(config.numBlocks, { numGroups: config.groups.length, enableCaching, observers })
    this.pool = pool
    this.#groups = config.groups.map(({ spec }, groupId) => {
      return new GroupTables(pool, groupId, spec, spec.kind === "cross" ? spec.blockSize : this.blockSize)
    })
    this.#watermarkBlocks = Math.floor(config.watermark * config.numBlocks)
  }

  get numGroups(): number {
    return this.#groups.length
  }

  /** The request's live block table in one group. */
  blockIds(requestId: string, groupId = 0): readonly number[] {
    return this.#group(groupId).blockIds(requestId)
  }

  blockIdsByGroup(requestId: string): (readonly number[])[] {
    return this.#groups.map((group) => group.blockIds(requestId))
  }

  /**
   * The longest cached prefix that serves the request: whole blocks, and never its last token, whose logits it needs.
   * One that needs outputs from inside the prefix computes from there on, if all that it reads is cached.
   */
  findPrefixHit(request: KVRequest): PrefixHit {
    if (!this.enablesPrefixCaching || request.isComputedApart) return this.noHit()
    extendBlockHashes(request, this.blockSize)
    const { blockHashes, firstNeededPosition } = request
    const hit = this.#longestHit(blockHashes, request.tokenIds.length - 1)
    if (firstNeededPosition >= hit.numTokens) return hit
    if (this.#covers(hit, firstNeededPosition)) return { ...hit, numSkippedTokens: firstNeededPosition }
    return this.#longestHit(blockHashes, firstNeededPosition)
  }

  noHit(): PrefixHit {
    return { blockIdsByGroup: this.#groups.map(() => []), numTokens: 0, numSkippedTokens: 0 }
  }

  /**
   * Gives a running request slots for its next `numNewTokens` tokens and names the blocks that they fill.
   * False when there is no room; then nothing has changed, except that blocks out of every window are free.
   */
  allocateSlots(request: KVRequest, numNewTokens: number): boolean {
    assert(numNewTokens > 0, () => `request ${request.requestId}: ${numNewTokens} tokens to place`)
    const id = request.requestId
    const numPlanned = Math.min(request.numComputedTokens + numNewTokens, this.#config.maxModelLen)
    // A step in flight still reads the window of the tokens that it computes.
    const numSettled = Math.max(0, request.numComputedTokens - request.numInFlightTokens)
    let need = 0
    for (const group of this.#groups) {
      group.releaseSkippedBlocks(id, numSettled)
      need += group.numBlocksToGrow(id, extentOf(group, request, numPlanned))
    }
    if (need > this.pool.numFreeBlocks) return false
    this.#growAndCache(request, numPlanned)
    return true
  }

  /** The same for a request without blocks: attaches its prefix hit, then gives it slots after it. */
  admit(request: KVRequest, numNewTokens: number, admission: Admission): boolean {
    assert(numNewTokens > 0, () => `request ${request.requestId}: ${numNewTokens} tokens to place`)
    const { hit } = admission
    const reserve = admission.keepsWatermark ? this.#watermarkBlocks : 0
    const room = this.pool.numFreeBlocks - reserve
    const { numSkippedTokens } = hit
    const numPlanned = Math.min(numSkippedTokens + numNewTokens, this.#config.maxModelLen)
    if (admission.fullSequenceMustFit && this.#numBlocksForAll(request, hit) > room) return false
    let need = 0
    for (const [g, group] of this.#groups.entries()) {
      const extent = extentOf(group, request, numPlanned)
      need += group.numBlocksToAdmit(hit.blockIdsByGroup[g] ?? [], numSkippedTokens, extent)
    }
    if (need > room) return false
    for (const [g, group] of this.#groups.entries()) {
      group.attachHit(request.requestId, hit.blockIdsByGroup[g] ?? [], numSkippedTokens)
    }
    this.#growAndCache(request, numPlanned)
    return true
  }

  /** The request's plan of this step is taken back: what it has not computed must not be found under its name. */
  uncacheUncomputed(request: KVRequest): void {
    const numValid = Math.max(request.numComputedTokens, request.numCachedTokens)
    for (const group of this.#groups) group.uncacheBlocksAfter(request.requestId, numValid)
  }

  /** Nobody will look at the results of the request's steps in flight: what they write must not be found either. */
  uncacheInFlight(request: KVRequest): void {
    const numSettled = Math.max(request.numComputedTokens - request.numInFlightTokens, request.numCachedTokens)
    for (const group of this.#groups) group.uncacheBlocksAfter(request.requestId, numSettled)
  }

  /** Forgets every name of the request's prefix, whichever request wrote the block. Holders keep their blocks. */
  forgetPrefix(request: KVRequest): void {
    for (const groupId of this.#groups.keys()) {
      for (const hash of request.blockHashes) this.pool.forgetName(hash, groupId)
    }
  }

  /** A step's planning begins: what the last one named has been, or will be, computed before this one runs. */
  newStep(): void {
    for (const group of this.#groups) group.newStep()
  }

  /** Gives back all the request's blocks. Does nothing for a request without any. */
  free(requestId: string): void {
    for (const group of this.#groups) group.free(requestId)
  }

  /** Forgets all cached prefixes. False, with nothing changed, while any request holds blocks. */
  resetPrefixCache(): boolean {
    return this.pool.resetCache()
  }

  /** Checks every invariant; its cost grows with the pool. `numHolding` requests hold blocks. */
  verify(numHolding: number): void {
    const holders = new Int32Array(this.pool.numBlocks)
    for (const group of this.#groups) {
      assert(group.numTables === numHolding, () => `${group.numTables} block tables for ${numHolding} requests`)
      group.countHolders(holders)
    }
    this.pool.verify(holders)
  }

  /**
   * Each group keeps or shortens the candidate length, until a pass over all of them changes nothing. The candidate
   * only shrinks, so this ends.
   */
  #longestHit(hashes: readonly BlockHash[], maxTokens: number): PrefixHit {
    let numTokens = maxTokens - (maxTokens % this.#alignment)
    let hits: number[][] = []
    for (let before = -1; before !== numTokens; ) {
      before = numTokens
      hits = this.#groups.map((group) => {
        const { blockSize } = group
        const limits = { maxBlocks: numTokens / blockSize, alignment: this.#alignment / blockSize }
        const ids = group.findLongestHit(hashes, limits)
        numTokens = ids.length * blockSize
        return ids
      })
      if (this.#groups.length === 1) break
    }
    return { blockIdsByGroup: hits, numTokens, numSkippedTokens: numTokens }
  }

  /** Whether the hit has all that is read from `position` on, inside it; a state is there at its end alone. */
  #covers(hit: PrefixHit, position: number): boolean {
    return this.#groups.every((group, g) => {
      if (group.policy.holdsState) return false
      const firstBlock = Math.floor(group.policy.numSkippedTokens(position) / group.blockSize)
      return !(hit.blockIdsByGroup[g] ?? []).includes(NULL_BLOCK_ID, firstBlock)
    })
  }

  /** Blocks from the pool until all the request's present tokens are in; a window gives some back on the way. */
  #numBlocksForAll(request: KVRequest, hit: PrefixHit): number {
    const { maxModelLen, maxNumBatchedTokens } = this.#config
    const numTokens = Math.min(request.tokenIds.length, maxModelLen)
    let need = 0
    for (const [g, group] of this.#groups.entries()) {
      const extent = extentOf(group, request, numTokens)
      const all = group.numBlocksToAdmit(hit.blockIdsByGroup[g] ?? [], hit.numSkippedTokens, extent)
      need += Math.min(all, group.policy.maxBlocksPerRequest(numTokens, maxNumBatchedTokens))
    }
    return need
  }

  #growAndCache(request: KVRequest, numPlanned: number): void {
    for (const group of this.#groups) group.grow(request.requestId, extentOf(group, request, numPlanned))
    if (!this.enablesPrefixCaching || request.isComputedApart) return
    extendBlockHashes(request, this.blockSize)
    const numVerified = Math.min(numPlanned, request.tokenIds.length)
    for (const group of this.#groups) group.cacheFullBlocks(request, numVerified)
  }

  #group(groupId: number): GroupTables {
    const group = this.#groups[groupId]
    assert(group !== undefined, () => `KV cache group ${groupId} of ${this.#groups.length}`)
    return group
  }
}

/** Tokens whose blocks the request has in the group when its first `numTokens` are planned. */
function extentOf(group: GroupTables, request: KVRequest, numTokens: number): number {
  return group.policy.holdsEncoderOutput ? request.numEncoderTokens : numTokens
}
