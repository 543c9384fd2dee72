import { assert } from "../../base/assert.ts"
import { ceilDiv } from "../../base/math.ts"
import type { AttentionPolicy } from "./attention-policy.ts"
import { NULL_BLOCK_ID } from "./block.ts"
import type { SlidingWindowSpec } from "./kv-spec.ts"

/**
 * A query reads itself and the `window - 1` tokens before it, so blocks wholly before that are given back, and a hit
 * needs only the blocks that the window covers at its end.
 *
 *   positions      0 ... | n - window + 1 ... n - 1 | n      n = tokens computed = position of the next query
 *                  skipped            read            computed next
 */
export function slidingWindowPolicy(spec: SlidingWindowSpec): AttentionPolicy {
  const { blockSize, window } = spec
  assert(window >= 1, () => `window=${window}`)
  /** Blocks before a block boundary that a query right after it reads. */
  const numTailBlocks = ceilDiv(window - 1, blockSize)

  return {
    holdsState: false,
    holdsEncoderOutput: false,
    numSkippedTokens: (numComputedTokens) => Math.max(0, numComputedTokens - window + 1),

    /**
     * Looks from the right for a run of `numTailBlocks` cached blocks that ends where a hit may; what lies after the
     * run is cut off. A shorter run counts only at the very start, where there is nothing before it to read.
     */
    findLongestHit(hashes, { maxBlocks, alignment }, lookup) {
      const most = Math.min(hashes.length, maxBlocks)
      const ids = new Array<number>(most - (most % alignment)).fill(NULL_BLOCK_ID)
      if (numTailBlocks === 0) return ids
      let runLength = 0
      for (let i = ids.length - 1; i >= 0; i--) {
        const hash = hashes[i]
        const block = hash === undefined ? null : lookup(hash)
        if (block === null || (runLength === 0 && (i + 1) % alignment !== 0)) {
          runLength = 0
          continue
        }
        ids[i] = block.id
        runLength += 1
        if (runLength < numTailBlocks) continue
        ids.length = i + numTailBlocks
        return ids
      }
      ids.length = runLength
      return ids
    },

    // One block more than the span needs, because the window may begin inside a block.
    maxBlocksPerRequest: (numTokens, maxStepTokens) =>
      Math.min(
        ceilDiv(Math.min(window - 1 + maxStepTokens, numTokens), blockSize) + 1,
        ceilDiv(numTokens, blockSize),
      ),
  }
}
