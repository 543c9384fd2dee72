import type { BlockHash } from "./block-hash.ts"
import type { KVBlock } from "./block.ts"

/** The block that holds a name's content, or null. */
export type BlockLookup = (hash: BlockHash) => KVBlock | null

/** Where a hit may end: after at most `maxBlocks` blocks, and after a multiple of `alignment` blocks. */
export interface HitLimits {
  readonly maxBlocks: number
  readonly alignment: number
}

/** What distinguishes one kind of layer from another for the KV cache: which blocks it writes and still reads. */
export interface AttentionPolicy {
  /** The tokens [0, result) are read by no query at position `numComputedTokens` or later. */
  numSkippedTokens(numComputedTokens: number): number

  /**
   * The longest cached prefix within the limits, as block table entries: ids, and the null block where a query after
   * the prefix will not look.
   */
  findLongestHit(hashes: readonly BlockHash[], limits: HitLimits, lookup: BlockLookup): number[]

  /** Blocks that a request of `numTokens` tokens holds at once, when a step computes at most `maxStepTokens` of it. */
  maxBlocksPerRequest(numTokens: number, maxStepTokens: number): number

  /** Blocks hold a state: a step writes the block of its last token alone, after reading the one before its first. */
  readonly holdsState: boolean
  /** Blocks hold an encoder's output: as many as that needs, all of them from the admission on. */
  readonly holdsEncoderOutput: boolean
}
