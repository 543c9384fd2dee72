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

/** The paged cache: a key and a value pool a layer, addressed by the scheduler's block ids. Outlives the weights. */
export class KVMemory {
  readonly #device: Device
  readonly #config: ModelConfig
  readonly #shape: KVCacheShape
  #layers: readonly KVLayer[] | null = null

  /** `device`: for this alone. */
  constructor(device: Device, config: ModelConfig, shape: KVCacheShape) {
    this.#device = device
    this.#config = config
    this.#shape = shape
  }

  get isAllocated(): boolean {
    return this.#layers !== null
  }

  /** The layers, allocated where they are not. */
  layers(numBlocks: number): readonly KVLayer[] {
    const { numKvHeads, headDim, numLayers } = this.#config
    const shape = { ...this.#shape, numBlocks }
    const bytes = this.#device.library.kvCacheBytes({ numKvHeads, headDim, ...shape })
    this.#layers ??= Array.from({ length: numLayers }, () => ({
      key: this.#device.alloc(bytes), value: this.#device.alloc(bytes), ...shape,
    }))
    return this.#layers
  }

  /** Gives the memory back; what is in it is lost. */
  free(): void {
    this.#device.dispose()
    this.#layers = null
  }
}
