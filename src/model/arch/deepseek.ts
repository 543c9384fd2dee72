/**
 * What DeepSeek's models have in common: latent attention, and behind the first layers experts, chosen in groups,
 * beside shared ones that all tokens use. Sources: arXiv:2405.04434, arXiv:2412.19437.
 */
import { ConfigError } from "../../base/errors.ts"
import type { ConfigReader } from "../config-reader.ts"
import { decoderConfig, type ModelConfig } from "../config.ts"
import { latentScale, readLatentSizes, type LatentSizes } from "../latent-attention.ts"

/** How a router's logits choose experts. */
export interface RoutingConfig {
  readonly numExperts: number
  /** Chosen for a token. */
  readonly perToken: number
  readonly scores: "softmax" | "sigmoid"
  /** Experts are chosen from the best `topGroups` of `numGroups` groups; 1 of 1: from all. */
  readonly numGroups: number
  readonly topGroups: number
  /** A bias a checkpoint stores is added to scores when experts, and groups by their two best, are chosen. */
  readonly hasBias: boolean
  /** The weights of the chosen add up to one, before they are scaled. */
  readonly isNormalized: boolean
  readonly scale: number
}

export interface ExpertsConfig {
  readonly routing: RoutingConfig
  /** Inner size of one expert. */
  readonly size: number
  /** Experts that every token uses, as one MLP of so many times an expert's size. */
  readonly numShared: number
  /** One a layer: whether it has experts. */
  readonly layers: readonly boolean[]
}

export interface DeepSeekConfig extends ModelConfig {
  readonly latent: LatentSizes
  readonly scoreScale: number
  /** Rotary pairs are neighbours. */
  readonly ropeInterleaved: boolean
  readonly experts: ExpertsConfig | null
  /** Layers behind the last one that predict further tokens: not used here. */
  readonly numNextTokenLayers: number
}

export interface DeepSeekDefaults {
  readonly scores: "softmax" | "sigmoid"
  readonly method: string
  readonly isNormalized: boolean
}

const SCORES = { softmax: "softmax", sigmoid: "sigmoid" } as const
const METHODS = {
  greedy: { isGrouped: false, hasBias: false },
  group_limited_greedy: { isGrouped: true, hasBias: false },
  noaux_tc: { isGrouped: true, hasBias: true },
} as const

/** Errors: `ConfigError`. */
export function readDeepSeek(reader: ConfigReader, defaults: DeepSeekDefaults): DeepSeekConfig {
  const latent = readLatentSizes(reader)
  const { ropeDim } = latent.memory
  const config = decoderConfig(reader, { headDim: ropeDim })
  if (config.headDim !== ropeDim)
    throw new ConfigError(`config.json: head_dim is ${config.headDim}; it must be qk_rope_head_dim, ${ropeDim}`)
  if (config.rotDim !== ropeDim)
    throw new ConfigError(`config.json: ${config.rotDim} of ${ropeDim} rotary dimensions rotate; all of them must`)
  if (config.windows.some((window) => window > 0))
    throw new ConfigError("config.json: sliding windows with latent attention are not supported")
  const experts = readExperts(reader, config.numLayers, defaults)
  return {
    ...config, latent, experts, scoreScale: latentScale(latent, config.rope),
    ropeInterleaved: reader.bool("rope_interleave", true),
    numNextTokenLayers: reader.int("num_nextn_predict_layers", { min: 0, max: 1024 }, 0),
  }
}

/** Keys that change which numbers come out have no defaults here: released configs state them. */
function readExperts(reader: ConfigReader, numLayers: number, defaults: DeepSeekDefaults): ExpertsConfig | null {
  const numExperts = reader.optionalInt("n_routed_experts", { min: 1, max: 65_536 })
  if (numExperts === null && reader.states("n_routed_experts")) return null
  if (numExperts === null) throw new ConfigError("config.json has no n_routed_experts")
  const firstLayer = reader.int("first_k_dense_replace", { min: 0 })
  const interval = reader.int("moe_layer_freq", { min: 1 }, 1)
  return {
    routing: readRouting(reader, numExperts, defaults),
    size: reader.int("moe_intermediate_size", { min: 1, max: 2_097_152 }),
    numShared: reader.states("n_shared_experts") && !reader.has("n_shared_experts")
      ? 0
      : reader.int("n_shared_experts", { min: 0, max: 1024 }),
    layers: Array.from({ length: numLayers }, (_, l) => l >= firstLayer && l % interval === 0),
  }
}

function readRouting(reader: ConfigReader, numExperts: number, defaults: DeepSeekDefaults): RoutingConfig {
  const perToken = reader.int("num_experts_per_tok", { min: 1, max: numExperts })
  const { isGrouped, hasBias } = reader.choice("topk_method", METHODS, defaults.method)
  const groups = isGrouped ? reader.int("n_group", { min: 1, max: numExperts }) : readUnused(reader, "n_group")
  const top = isGrouped ? reader.int("topk_group", { min: 1, max: groups }) : readUnused(reader, "topk_group")
  const [numGroups, topGroups] = isGrouped ? [groups, top] : [1, 1]
  const groupSize = numExperts / numGroups
  if (!Number.isInteger(groupSize))
    throw new ConfigError(`config.json: n_routed_experts is ${numExperts}; it must be a multiple of n_group, ${groups}`)
  if (hasBias && numGroups > 1 && groupSize < 2)
    throw new ConfigError(`config.json: n_group is ${groups}; groups are ranked by two of their experts and have one`)
  if (topGroups * groupSize < perToken)
    throw new ConfigError(
      `config.json: num_experts_per_tok is ${perToken}; the ${topGroups} best groups have ${topGroups * groupSize}`)
  return {
    numExperts, perToken, numGroups, topGroups, hasBias,
    scores: reader.choice("scoring_func", SCORES, defaults.scores),
    isNormalized: reader.bool("norm_topk_prob", defaults.isNormalized),
    scale: reader.float("routed_scaling_factor", { min: 0, max: 1e6 }),
  }
}

/** Of groups that this way to choose does not have. */
function readUnused(reader: ConfigReader, key: string): number {
  return reader.optionalInt(key, { min: 1 }) ?? 1
}
