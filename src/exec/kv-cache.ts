import type { KVLayer } from "../model/graph-builder.ts"
import type { ModelConfig } from "../model/config.ts"
import type { Device } from "../tensor/device.ts"

export interface KVCacheShape {
  readonly blockSize: number
  readonly dtype: "F32" | "BF16"
}

/** Bytes of the keys, or of the values, of one layer. */
function poolBytes(device: Device, config: ModelConfig, shape: KVCacheShape, numBlocks: number): number {
  const { numKvHeads, headDim } = config
  const { blockSize, dtype } = shape
  return device.library.kvCacheBytes({ numKvHeads, headDim, blockSize, numBlocks, dtype })
}

/** A large page: the system gives so much at a time, and takes up to milliseconds to clear it. */
const PAGE_BYTES = 2 * 1024 * 1024

/** The paged cache: a key and a value pool a layer, addressed by the scheduler's block ids. Outlives the weights. */
export class KVMemory {
  readonly #device: Device
  readonly #config: ModelConfig
  readonly shape: KVCacheShape
  #layers: readonly KVLayer[] | null = null
  /** By page of a pool: in how many of the pools it is ready. */
  readonly #readyPools = new Map<number, number>()

  /** `device`: for this alone. */
  constructor(device: Device, config: ModelConfig, shape: KVCacheShape) {
    this.#device = device
    this.#config = config
    this.shape = shape
  }

  /** Bytes one block takes over all layers, keys and values. */
  get bytesPerBlock(): number {
    return poolBytes(this.#device, this.#config, this.shape, 1) * 2 * this.#config.numLayers
  }

  get isAllocated(): boolean {
    return this.#layers !== null
  }

  /** The layers, allocated where they are not. */
  layers(numBlocks: number): readonly KVLayer[] {
    const shape = { ...this.shape, numBlocks }
    const bytes = poolBytes(this.#device, this.#config, shape, numBlocks)
    this.#layers ??= Array.from({ length: this.#config.numLayers }, () => ({
      key: this.#device.alloc(bytes), value: this.#device.alloc(bytes), ...shape,
    }))
    return this.#layers
  }

  /**
   * Gets one page ready that these blocks have their keys or values in, so that no step has to wait for it. False: all
   * of them are ready. Errors: `NativeError`.
   */
  prepare(blockIds: readonly number[]): boolean {
    if (this.#layers === null) return false
    const pools = this.#layers.flatMap(({ key, value }) => [key, value])
    const { numBlocks } = this.#layers[0]!
    const bytes = poolBytes(this.#device, this.#config, this.shape, numBlocks)
    const blockBytes = bytes / numBlocks
    for (const id of blockIds) {
      const last = Math.floor(((id + 1) * blockBytes - 1) / PAGE_BYTES)
      for (let page = Math.floor((id * blockBytes) / PAGE_BYTES); page <= last; page++) {
        const ready = this.#readyPools.get(page) ?? 0
        if (ready === pools.length) continue
        const at = page * PAGE_BYTES
        this.#device.stream.touch(pools[ready]! + at, Math.min(PAGE_BYTES, bytes - at))
        this.#readyPools.set(page, ready + 1)
        return true
      }
    }
    return false
  }

  /** Gives the memory back; what is in it is lost. */
  free(): void {
    this.#device.dispose()
    this.#layers = null
    this.#readyPools.clear()
  }
}
