import { ceilDiv } from "../../base/math.ts"
import type { AttentionPolicy } from "./attention-policy.ts"
import type { FullAttentionSpec } from "./kv-spec.ts"

/** Every query reads everything before it: nothing is ever skipped, and a hit is a run of blocks from the start. */
export function fullAttentionPolicy(spec: FullAttentionSpec): AttentionPolicy {
  return {
    numSkippedTokens: () => 0,

    findLongestHit(hashes, maxBlocks, lookup) {
      const ids: number[] = []
      for (const hash of hashes) {
        const block = ids.length < maxBlocks ? lookup(hash) : null
        if (block === null) break
        ids.push(block.id)
      }
      return ids
    },

    maxBlocksPerRequest: (numTokens) => ceilDiv(numTokens, spec.blockSize),
  }
}
