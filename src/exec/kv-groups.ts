import type { KernelLibrary } from "../../ffi/library.ts"
import { groupLayers, type KVCacheGroup, type FullAttentionSpec, type SlidingWindowSpec } from "../core/kv/kv-spec.ts"
import { unreachable } from "../base/assert.ts"
import type { LayerMemory, ModelTraits } from "../model/traits.ts"
import type { KVCacheShape } from "./kv-cache.ts"

/** The scheduler's view of what a model's layers keep: groups of them with block tables of their own. */
export function kvGroups({ memory }: ModelTraits, shape: KVCacheShape, library: KernelLibrary): KVCacheGroup[] {
  return groupLayers(memory.map((layer) => specOf(layer, shape)), (spec) => {
    if (spec.kind !== "full" && spec.kind !== "sliding_window") return unreachable(spec as never)
    const { numKVHeads: numKvHeads, headDim, blockSize } = spec
    // Keys and values.
    return 2 * library.kvCacheBytes({ numKvHeads, headDim, blockSize, numBlocks: 1, dtype: shape.dtype })
  })
}

function specOf(
  { window, numKvHeads, headDim }: LayerMemory, { blockSize, dtype }: KVCacheShape,
): FullAttentionSpec | SlidingWindowSpec {
  const base = {
    blockSize, numKVHeads: numKvHeads, headDim, headDimV: headDim, dtypeBytes: dtype === "F32" ? 4 : 2,
  }
  return window > 0 ? { kind: "sliding_window", window, ...base } : { kind: "full", ...base }
}
