import { groupLayers, type KVCacheGroup, type KVCacheSpec } from "../core/kv/kv-spec.ts"
import type { ModelConfig } from "../model/config.ts"
import type { KVCacheShape } from "./kv-cache.ts"

/**
 * The scheduler's view of the model's KV cache. A model whose layers all have one window is one sliding-window group;
 * one that mixes windows keeps every token (one full-attention group): each layer still attends only to its window.
 */
export function kvGroups(config: ModelConfig, shape: KVCacheShape): KVCacheGroup[] {
  const windows = new Set(config.windows)
  const base = {
    blockSize: shape.blockSize, numKVHeads: config.numKvHeads, headDim: config.headDim, headDimV: config.headDim,
    dtypeBytes: shape.dtype === "F32" ? 4 : 2,
  }
  const window = windows.size === 1 ? config.windows[0] ?? 0 : 0
  const spec: KVCacheSpec = window > 0 ? { kind: "sliding_window", window, ...base } : { kind: "full", ...base }
  const tokenBytes = base.numKVHeads * (base.headDim + base.headDimV) * base.dtypeBytes
  return groupLayers(Array.from({ length: config.numLayers }, () => spec), (spec) => spec.blockSize * tokenBytes)
}
