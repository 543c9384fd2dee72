import { ceilDiv } from "../../base/math.ts"
import type { AttentionPolicy } from "./attention-policy.ts"
import type { CrossAttentionSpec, FullAttentionSpec, LatentAttentionSpec } from "./kv-spec.ts"

/** Every query reads everything before it: nothing is ever skipped, and a hit is a run of blocks from the start. */
export function fullAttentionPolicy(spec: FullAttentionSpec | LatentAttentionSpec): AttentionPolicy {
  return {
    holdsState: false,
    holdsEncoderOutput: false,
    numSkippedTokens: () => 0,

    findLongestHit(hashes, { maxBlocks, alignment }, lookup) {
      const ids: number[] = []
      for (const hash of hashes) {
        const block = ids.length < maxBlocks ? lookup(hash) : null
        if (block === null) break
        ids.push(block.id)
      }
      ids.length -= ids.length % alignment
      return ids
    },

    maxBlocksPerRequest: (numTokens) => ceilDiv(numTokens, spec.blockSize),
  }
}

/** Every query reads the whole of the encoder's output, which no name stands for: it is never shared. */
export function crossAttentionPolicy(spec: CrossAttentionSpec): AttentionPolicy {
  return {
    holdsState: false,
    holdsEncoderOutput: true,
    numSkippedTokens: () => 0,
    findLongestHit: () => [],
    maxBlocksPerRequest: () => ceilDiv(spec.maxEncoderTokens, spec.blockSize),
  }
}
