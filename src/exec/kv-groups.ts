import type { KernelLibrary } from "../../ffi/library.ts"
import {
  groupLayers, type FullAttentionSpec, type KVCacheGroup, type LatentAttentionSpec, type SlidingWindowSpec,
  type StateSpec,
} from "../core/kv/kv-spec.ts"
import { unreachable } from "../base/assert.ts"
import { stateFloats } from "../model/state-space.ts"
import type { LayerMemory, ModelTraits } from "../model/traits.ts"
import type { KVCacheShape } from "./kv-cache.ts"

/** The scheduler's view of what a model's layers keep: groups of them with block tables of their own. */
export function kvGroups({ memory }: ModelTraits, shape: KVCacheShape, library: KernelLibrary): KVCacheGroup[] {
  const isSplit = memory.some(({ kind }) => kind !== "state")
  return groupLayers(memory.map((layer) => specOf(layer, shape, isSplit)), (spec) => {
    const { dtype } = shape
    if (spec.kind === "mla") {
      const { rank, ropeDim, blockSize } = spec
      return library.latentCacheBytes({ rank, ropeDim, blockSize, numBlocks: 1, dtype })
    }
    if (spec.kind === "state") return spec.stateSize * spec.dtypeBytes
    if (spec.kind !== "full" && spec.kind !== "sliding_window") return unreachable(spec as never)
    const { numKVHeads: numKvHeads, headDim, blockSize } = spec
    // Keys and values.
    return 2 * library.kvCacheBytes({ numKvHeads, headDim, blockSize, numBlocks: 1, dtype })
  })
}

/** `isSplit`: the parts of a state are in pools of their own. */
function specOf(
  memory: LayerMemory, { blockSize, dtype }: KVCacheShape, isSplit: boolean,
): FullAttentionSpec | SlidingWindowSpec | LatentAttentionSpec | StateSpec {
  if (memory.kind === "state")
    return { kind: "state", blockSize, stateSize: stateFloats(memory, isSplit), dtypeBytes: 4 }
  const dtypeBytes = dtype === "F32" ? 4 : 2
  if (memory.kind === "latent") {
    const { rank, ropeDim } = memory
    return { kind: "mla", blockSize, rank, ropeDim, dtypeBytes }
  }
  const { window, numKvHeads, headDim } = memory
  const base = { blockSize, numKVHeads: numKvHeads, headDim, headDimV: headDim, dtypeBytes }
  return window > 0 ? { kind: "sliding_window", window, ...base } : { kind: "full", ...base }
}
