import type { KVLayer } from "../model/graph-builder.ts"
import type { ModelConfig } from "../model/config.ts"
import type { Device } from "../tensor/device.ts"

export interface KVCacheShape {
  readonly blockSize: number
  readonly dtype: "F32" | "BF16"
}

/** Bytes one block takes over all layers, keys and values. */
export function bytesPerBlock(device: Device, config: ModelConfig, shape: KVCacheShape): number {
  const layer = device.library.kvCacheBytes({
    numKvHeads: config.numKvHeads,
    headDim: config.headDim,
    blockSize: shape.blockSize,
    numBlocks: 1,
    dtype: shape.dtype,
  })
  return layer * 2 * config.numLayers
}

/** The paged cache: a key and a value pool a layer, addressed by the scheduler's block ids. */
export function allocateKVCache(device: Device, config: ModelConfig, shape: KVCacheShape, numBlocks: number): KVLayer[] {
  const bytes = device.library.kvCacheBytes({
    numKvHeads: config.numKvHeads, headDim: config.headDim, blockSize: shape.blockSize, numBlocks, dtype: shape.dtype,
  })
  return Array.from({ length: config.numLayers }, () => ({
    key: device.alloc(bytes), value: device.alloc(bytes), dtype: shape.dtype, blockSize: shape.blockSize, numBlocks,
  }))
}
