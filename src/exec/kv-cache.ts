import { ConfigError } from "../base/errors.ts"
import type { KVCacheGroup } from "../core/kv/kv-spec.ts"
import type { KVLayer, KVType } from "../model/traits.ts"
import type { Device } from "../tensor/device.ts"

export interface KVCacheShape {
  readonly blockSize: number
  readonly dtype: KVType
}

/** A large page: the system gives so much at a time, and takes up to milliseconds to clear it. */
const PAGE_BYTES = 2 * 1024 * 1024

/** The memory of one layer of every group. */
interface Pool {
  readonly key: number
  /** 0: there is none. */
  readonly value: number
}

/**
 * The paged cache, addressed by the scheduler's block ids. Outlives the weights.
 *
 * A pool of keys and one of values, or one of latents, serve one layer of every group: the i-th layers of all groups
 * share the i-th pools, as a block id is one group's at a time. States beside keys and values have a part in each pool;
 * those of a model that keeps nothing else have one pool a layer.
 */
export class KVMemory {
  readonly #device: Device
  readonly #groups: readonly KVCacheGroup[]
  readonly shape: KVCacheShape
  /** Of a layer: keys and values, or one for all that it keeps. */
  readonly #poolsPerLayer: 1 | 2
  #pools: readonly Pool[] | null = null
  #numBlocks = 0
  /** By page of a pool: in how many of the pools it is ready. */
  readonly #readyPools = new Map<number, number>()

  /** `device`: for this alone. Errors: `ConfigError` for kinds of layers whose pools differ. */
  constructor(device: Device, groups: readonly KVCacheGroup[], shape: KVCacheShape) {
    this.#device = device
    this.#groups = groups
    this.shape = shape
    const numLatent = groups.filter(({ spec }) => spec.kind === "mla").length
    if (numLatent > 0 && numLatent < groups.length)
      throw new ConfigError("layers of latent attention beside layers of another kind are not supported")
    const hasStatesOnly = groups.length > 0 && groups.every(({ spec }) => spec.kind === "state")
    this.#poolsPerLayer = numLatent > 0 || hasStatesOnly ? 1 : 2
  }

  /** Bytes one block takes over all layers of a group. */
  get bytesPerBlock(): number {
    return this.#poolBytes(1) * this.#poolsPerLayer * this.#numLayers
  }

  get isAllocated(): boolean {
    return this.#pools !== null
  }

  /** The layers, allocated where they are not. */
  layers(numBlocks: number): readonly KVLayer[] {
    const bytes = this.#poolBytes(numBlocks)
    this.#numBlocks = numBlocks
    this.#pools ??= Array.from({ length: this.#numLayers }, () => (
      { key: this.#device.alloc(bytes), value: this.#poolsPerLayer === 2 ? this.#device.alloc(bytes) : 0 }))
    const pageBytes = this.#poolBytes(1)
    const layers: KVLayer[] = []
    for (const [group, { layers: members, spec }] of this.#groups.entries()) {
      for (const [i, layer] of members.entries())
        layers[layer] = {
          group, ...this.#pools[i]!, pageBytes, dtype: this.shape.dtype, blockSize: spec.blockSize, numBlocks,
        }
    }
    return layers
  }

  /**
   * Gets one page ready that these blocks lie in, so that no step has to wait for it. False: all
   * of them are ready. Errors: `NativeError`.
   */
  prepare(blockIds: readonly number[]): boolean {
    if (this.#pools === null) return false
    const pools = this.#pools.flatMap(({ key, value }) => (value === 0 ? [key] : [key, value]))
    const bytes = this.#poolBytes(this.#numBlocks)
    const blockBytes = bytes / this.#numBlocks
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
    this.#pools = null
    this.#readyPools.clear()
  }

  /** Of the largest group. */
  get #numLayers(): number {
    return Math.max(0, ...this.#groups.map(({ layers }) => layers.length))
  }

  #poolBytes(numBlocks: number): number {
    return (numBlocks * (this.#groups[0]?.pageBytes ?? 0)) / this.#poolsPerLayer
  }
}
