/**
 * What the layers of a model need from the KV cache.
 *
 * A *spec* describes one layer. Layers with equal specs form a *group*: they share one block table, and one block id
 * means one block in each of them. A model of one kind of layer is one group, also when that kind is a sliding window;
 * a model that mixes kinds is a hybrid with several groups over one pool of block ids. How many bytes a block of a spec
 * takes is the kernel library's business (`PageBytes`).
 */
import { ConfigError } from "../../base/errors.ts"

interface BlockSpec {
  /** Tokens a block. */
  readonly blockSize: number
}

interface AttentionSpec extends BlockSpec {
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

/** Latent attention: one compressed vector a token serves all heads as key and as value. */
export interface LatentAttentionSpec extends BlockSpec {
  readonly kind: "mla"
  /** Elements of a token's latent, and of its key with rotary positions. */
  readonly rank: number
  readonly ropeDim: number
  readonly dtypeBytes: number
}

/**
 * One state a request, which every token changes. It lives in the block of the last token; a block that a step has
 * filled to its end keeps it as it was there, so that another request can go on from it.
 */
export interface StateSpec extends BlockSpec {
  readonly kind: "state"
  /** Elements of a state, whatever it consists of. */
  readonly stateSize: number
  readonly dtypeBytes: number
}

/** Keys and values of an encoder's output: written once, when the request is admitted. */
export interface CrossAttentionSpec extends AttentionSpec {
  readonly kind: "cross"
  /** Of one request, at most. */
  readonly maxEncoderTokens: number
}

/** Attention within one step, which keeps nothing. */
export interface EncoderOnlySpec {
  readonly kind: "encoder_only"
}

/** A layer that keeps something in the cache. */
export type KVCacheSpec =
  | FullAttentionSpec | SlidingWindowSpec | LatentAttentionSpec | StateSpec | CrossAttentionSpec

export type LayerSpec = KVCacheSpec | EncoderOnlySpec

/** Bytes of one block of a spec in one layer. */
export type PageBytes = (spec: KVCacheSpec) => number

export interface KVCacheGroup {
  readonly spec: KVCacheSpec
  /** Indices of the model's layers. */
  readonly layers: readonly number[]
  /** Of one block in one layer; the same for all groups of a model, so that it may be more than the block needs. */
  readonly pageBytes: number
}

/** The KV cache as it was allocated. */
export interface KVCacheConfig {
  /** Block 0, the null block, included. */
  readonly numBlocks: number
  readonly groups: readonly KVCacheGroup[]
  readonly enablePrefixCaching: boolean
}

/**
 * Groups a model's layers, `specs[layer]`, full attention first; layers that keep nothing are in no group.
 * All blocks are one pool, so groups must hold equally many layers of equal pages: a kind with more layers is split,
 * and the last of its groups may leave pages unused.
 */
export function groupLayers(specs: readonly LayerSpec[], pageBytes: PageBytes): KVCacheGroup[] {
  const kinds = new Map<string, { spec: KVCacheSpec; layers: number[] }>()
  for (const [layer, spec] of specs.entries()) {
    if (spec.kind === "encoder_only") continue
    const key = JSON.stringify(Object.entries(spec).sort())
    const kind = kinds.get(key)
    if (kind === undefined) kinds.set(key, { spec, layers: [layer] })
    else kind.layers.push(layer)
  }
  const rank = ({ spec }: { spec: KVCacheSpec }) => (spec.kind === "full" || spec.kind === "mla" ? 0 : 1)
  const buckets = unifyPages([...kinds.values()].sort((a, b) => rank(a) - rank(b)), pageBytes)
  if (buckets.length <= 1) return buckets
  const sizes = buckets.map((bucket) => bucket.layers.length)
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)]
  const groupSize = most < 1.5 * least ? most : least
  return buckets.flatMap(({ layers, ...bucket }) => {
    const numGroups = Math.ceil(layers.length / groupSize)
    const layersOf = (g: number) => layers.filter((_, i) => i % numGroups === g)
    return Array.from({ length: numGroups }, (_, g) => ({ ...bucket, layers: layersOf(g) }))
  })
}

/**
 * Gives all kinds pages of one size, that of the largest: others get more tokens a block where that comes out even, and
 * unused bytes where it does not. A state has a size of its own, so the tokens' pages grow until it fits into one.
 */
function unifyPages(kinds: readonly Omit<KVCacheGroup, "pageBytes">[], pageBytesOf: PageBytes): KVCacheGroup[] {
  const largest = (isState: boolean) =>
    Math.max(0, ...kinds.filter(({ spec }) => (spec.kind === "state") === isState).map(({ spec }) => pageBytesOf(spec)))
  const [stateBytes, tokenBytes] = [largest(true), largest(false)]
  const pageBytes = tokenBytes === 0 ? stateBytes : tokenBytes * Math.max(1, Math.ceil(stateBytes / tokenBytes))
  const grow = (spec: KVCacheSpec): KVCacheSpec => {
    const factor = pageBytes / pageBytesOf(spec)
    return spec.kind === "state" || !Number.isInteger(factor) ? spec : { ...spec, blockSize: spec.blockSize * factor }
  }
  const grown = kinds.map(({ spec, layers }) => ({ spec: grow(spec), layers, pageBytes }))
  // A state is kept as often as the first kind of attention fills a block, so that prefixes of both end together.
  const blockSize = grown.find(({ spec }) => spec.kind !== "state")?.spec.blockSize
  return grown.map((group) => {
    const isState = group.spec.kind === "state" && blockSize !== undefined
    const spec = isState ? { ...group.spec, blockSize } : group.spec
    const needed = pageBytesOf(spec)
    if (needed <= pageBytes) return { ...group, spec }
    const block = `a KV block of ${spec.blockSize} tokens (${spec.kind})`
    throw new ConfigError(`${block} takes ${needed} bytes, not ${pageBytes}`)
  })
}
