/**
 * What the layers of a model need from the KV cache.
 *
 * A *spec* describes one layer. Layers with equal specs form a *group*: they share one block table, and one block id
 * means one block in each of them. A model of one kind of attention is one group, also when that kind is a sliding
 * window; a model that mixes kinds is a hybrid with several groups over one pool of block ids.
 */
import { assert } from "../../base/assert.ts"
import { ConfigError } from "../../base/errors.ts"

interface AttentionSpec {
  /** Token slots a block. */
  readonly blockSize: number
  readonly numKVHeads: number
  /** Elements of a key head. */
  readonly headDim: number
  /** Elements of a value head. */
  readonly headDimV: number
  /** Bytes an element; below 1 for packed formats. */
  readonly dtypeBytes: number
}

export interface FullAttentionSpec extends AttentionSpec {
  readonly kind: "full"
}

export interface SlidingWindowSpec extends AttentionSpec {
  readonly kind: "sliding_window"
  /** A token attends to itself and the `window - 1` tokens before it. */
  readonly window: number
}

export type KVCacheSpec = FullAttentionSpec | SlidingWindowSpec

export interface KVCacheGroup {
  readonly spec: KVCacheSpec
  /** Indices of the model's layers. */
  readonly layers: readonly number[]
}

/** The KV cache as it was allocated. */
export interface KVCacheConfig {
  /** Block 0, the null block, included. */
  readonly numBlocks: number
  readonly groups: readonly KVCacheGroup[]
  readonly enablePrefixCaching: boolean
}

/** Bytes of one block in one layer: keys and values. */
export function pageBytes(spec: KVCacheSpec): number {
  return Math.ceil(spec.numKVHeads * spec.blockSize * (spec.headDim + spec.headDimV) * spec.dtypeBytes)
}

/**
 * Groups a model's layers, `specs[layer]`, full attention first.
 * All blocks are one pool, so groups must hold equally many layers of equal pages: a kind with more layers is split,
 * and the last of its groups may leave pages unused.
 */
export function groupLayers(specs: readonly KVCacheSpec[]): KVCacheGroup[] {
  const kinds = new Map<string, { spec: KVCacheSpec; layers: number[] }>()
  for (const [layer, spec] of specs.entries()) {
    const window = spec.kind === "sliding_window" ? spec.window : 0
    const { kind: name, blockSize, numKVHeads, headDim, headDimV, dtypeBytes } = spec
    const key = [name, window, blockSize, numKVHeads, headDim, headDimV, dtypeBytes].join()
    const kind = kinds.get(key)
    if (kind === undefined) kinds.set(key, { spec, layers: [layer] })
    else kind.layers.push(layer)
  }
  const rank = ({ spec }: KVCacheGroup) => (spec.kind === "full" ? 0 : 1)
  const buckets = [...kinds.values()].sort((a, b) => rank(a) - rank(b))
  if (buckets.length <= 1) return buckets
  const [first] = buckets
  assert(first !== undefined)
  for (const { spec } of buckets) {
    if (pageBytes(spec) === pageBytes(first.spec) && spec.blockSize === first.spec.blockSize) continue
    throw new ConfigError(
      `layers with KV blocks of ${pageBytes(first.spec)} and of ${pageBytes(spec)} bytes cannot share one KV cache`,
    )
  }
  const sizes = buckets.map((bucket) => bucket.layers.length)
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)]
  const groupSize = most < 1.5 * least ? most : least
  return buckets.flatMap(({ spec, layers }) => {
    const numGroups = Math.ceil(layers.length / groupSize)
    return Array.from({ length: numGroups }, (_, g) => ({ spec, layers: layers.filter((_, i) => i % numGroups === g) }))
  })
}
