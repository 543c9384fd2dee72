import type { BlockHash } from "./block-hash.ts"
import type { KVBlock } from "./block.ts"

/** The block that holds a name's content, or null. */
export type BlockLookup = (hash: BlockHash) => KVBlock | null

/** What distinguishes one kind of attention from another for the KV cache: which blocks its queries still read. */
export interface AttentionPolicy {
  /** The tokens [0, result) are read by no query at position `numComputedTokens` or later. */
  numSkippedTokens(numComputedTokens: number): number

  /**
   * The longest cached prefix of at most `maxBlocks` blocks, as block table entries: ids, and the null block where a
   * query after the prefix will not look.
   */
  findLongestHit(hashes: readonly BlockHash[], maxBlocks: number, lookup: BlockLookup): number[]

  /** Blocks that a request of `numTokens` tokens holds at once, when a step computes at most `maxStepTokens` of it. */
  maxBlocksPerRequest(numTokens: number, maxStepTokens: number): number
}
