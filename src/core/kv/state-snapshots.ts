import type { AttentionPolicy } from "./attention-policy.ts"
import { NULL_BLOCK_ID } from "./block.ts"

/**
 * A token reads the state that the token before it left, and nothing else. A block that is full holds the state after
 * its last token, so a hit is one block, with the null block before it.
 */
export function statePolicy(): AttentionPolicy {
  return {
    holdsState: true,
    holdsEncoderOutput: false,
    numSkippedTokens: (numComputedTokens) => Math.max(0, numComputedTokens - 1),

    findLongestHit(hashes, { maxBlocks, alignment }, lookup) {
      const most = Math.min(hashes.length, maxBlocks)
      for (let length = most - (most % alignment); length > 0; length -= alignment) {
        const hash = hashes[length - 1]
        const block = hash === undefined ? null : lookup(hash)
        if (block === null) continue
        const ids = new Array<number>(length).fill(NULL_BLOCK_ID)
        ids[length - 1] = block.id
        return ids
      }
      return []
    },

    // The one that is read and the one that is written.
    maxBlocksPerRequest: () => 2,
  }
}
