import { groupLayers, type KVCacheGroup, type KVCacheSpec } from "../core/kv/kv-spec.ts"
import type { LayerMemory, ModelTraits } from "../model/traits.ts"
import type { KVCacheShape } from "./kv-cache.ts"

/** The scheduler's view of what a model's layers keep: groups of them with block tables of their own. */
export function kvGroups({ memory }: ModelTraits, shape: KVCacheShape): KVCacheGroup[] {
  return groupLayers(memory.map((layer) => specOf(layer, shape)))
}

function specOf({ window, numKvHeads, headDim }: LayerMemory, { blockSize, dtype }: KVCacheShape): KVCacheSpec {
  const base = {
    blockSize, numKVHeads: numKvHeads, headDim, headDimV: headDim, dtypeBytes: dtype === "F32" ? 4 : 2,
  }
  return window > 0 ? { kind: "sliding_window", window, ...base } : { kind: "full", ...base }
}
