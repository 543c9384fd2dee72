/**
 * Latent attention: a token is cached as one latent and one key with rotary positions, for all heads.
 *
 * A head's key is its up-projection of the latent beside the rotary key, its value another up-projection of the latent.
 * Neither is ever computed: up-projecting the keys is a product with the query instead, up-projecting the values one
 * with the result, so that attention itself works on latents. Source: arXiv:2405.04434.
 */
import { ConfigError } from "../base/errors.ts"
import { columns, type Matrix } from "../tensor/device.ts"
import type { ConfigReader } from "./config-reader.ts"
import type { HeadWeight } from "./head-weights.ts"
import { yarnMagnitude, type RopeConfig } from "./rope.ts"
import type { RopeTable, Stage } from "./stage.ts"
import type { KVLayer, LatentMemory } from "./traits.ts"
import type { LinearWeight, VectorWeight, WeightMap } from "./weights.ts"

/** Sizes of a head's parts, in config.json's terms. */
export interface LatentSizes {
  readonly memory: LatentMemory
  /** Of a head's query and key without positions, and of its value. */
  readonly nopeDim: number
  readonly valueDim: number
  /** Queries are projected down to so many values first, or not at all. */
  readonly queryRank: number | null
}

/** Errors: `ConfigError`. */
export function readLatentSizes(reader: ConfigReader): LatentSizes {
  const size = { min: 1, max: 2048 }
  const nopeDim = reader.int("qk_nope_head_dim", size)
  const ropeDim = readMultipleOf8(reader, "qk_rope_head_dim", 256)
  reader.alias("qk_head_dim", nopeDim + ropeDim)
  return {
    memory: { kind: "latent", rank: readMultipleOf8(reader, "kv_lora_rank", 1024), ropeDim },
    nopeDim,
    valueDim: reader.int("v_head_dim", size),
    queryRank: reader.optionalInt("q_lora_rank", { min: 1, max: 65_536 }),
  }
}

/** What the cache takes; bz_latent_kv says so. */
function readMultipleOf8(reader: ConfigReader, key: string, max: number): number {
  const value = reader.int(key, { min: 8, max })
  if (value % 8 !== 0) throw new ConfigError(`config.json: ${key} is ${value}; it must be a multiple of 8`)
  return value
}

/** Of scores. YaRN's share of it counts twice, as queries and keys both have it. */
export function latentScale({ nopeDim, memory }: LatentSizes, { scaling }: RopeConfig): number {
  const scale = (nopeDim + memory.ropeDim) ** -0.5
  if (scaling.type !== "yarn" || !scaling.mscaleAllDim) return scale
  return scale * yarnMagnitude(scaling.factor, scaling.mscaleAllDim) ** 2
}

export interface LatentAttentionWeights {
  /** Down-projections: of queries, where they have one, and then of keys and values. */
  readonly down: LinearWeight
  readonly queryNorm: VectorWeight | null
  readonly query: LinearWeight
  readonly latentNorm: VectorWeight
  /** Up-projections of keys and values, a matrix a head. */
  readonly keys: HeadWeight
  readonly values: HeadWeight
  readonly out: LinearWeight
}

/** `bias`: down-projections and the output have biases. */
export function latentAttentionWeights(
  w: WeightMap, prefix: string, sizes: LatentSizes,
  { hiddenSize, numHeads, bias }: { hiddenSize: number; numHeads: number; bias: boolean },
): LatentAttentionWeights {
  const { nopeDim, valueDim, queryRank, memory: { rank, ropeDim } } = sizes
  const queryRows = numHeads * (nopeDim + ropeDim)
  const down: [string, number][] = [[`${prefix}.kv_a_proj_with_mqa`, rank + ropeDim]]
  if (queryRank !== null) down.unshift([`${prefix}.q_a_proj`, queryRank])
  return {
    down: w.linear(down, hiddenSize, { bias }),
    queryNorm: queryRank === null ? null : w.vector(`${prefix}.q_a_layernorm.weight`, queryRank),
    query: queryRank === null
      ? w.linear([[`${prefix}.q_proj`, queryRows]], hiddenSize, { bias: false })
      : w.linear([[`${prefix}.q_b_proj`, queryRows]], queryRank, { bias: false }),
    latentNorm: w.vector(`${prefix}.kv_a_layernorm.weight`, rank),
    ...w.latentHeads(`${prefix}.kv_b_proj`, { numHeads, keyDim: nopeDim, valueDim, rank }),
    out: w.linear([[`${prefix}.o_proj`, hiddenSize]], numHeads * valueDim, { bias }),
  }
}

/** The values of all heads, for the output projection. */
export function latentAttention(
  b: Stage, weights: LatentAttentionWeights, x: Matrix, { memory, queryRank }: LatentSizes,
  { layer, rope, scale, eps }: { layer: KVLayer; rope: RopeTable; scale: number; eps: number },
): Matrix {
  const { rank, ropeDim } = memory
  const { numHeads } = weights.keys
  const down = b.linear(x, weights.down)
  const latent = columns(down, queryRank ?? 0, rank + ropeDim)
  const q = queryRank === null || weights.queryNorm === null
    ? b.linear(x, weights.query)
    : b.linear(normedInPlace(b, columns(down, 0, queryRank), weights.queryNorm, eps), weights.query)
  const absorbed = b.linearHeads(q, weights.keys, rank + ropeDim)
  b.latentKv(latent, q, absorbed, numHeads, memory, { layer, rope, norm: { weight: weights.latentNorm, eps } })
  return b.linearHeads(b.latentAttention(absorbed, memory, layer, { numHeads, scale }), weights.values)
}

function normedInPlace(b: Stage, x: Matrix, weight: VectorWeight, eps: number): Matrix {
  return b.rmsNorm(x, weight, eps, { out: x })
}
