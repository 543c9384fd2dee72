/**
 * What DeepSeek's models have in common: latent attention, and behind the first layers experts, chosen in groups,
 * beside shared ones that all tokens use. Sources: arXiv:2405.04434, arXiv:2412.19437.
 */
import { ConfigError } from "../../base/errors.ts"
import type { Forward } from "../architecture.ts"
import { gatedMlp, head, lmHead, ropeTable, type FeedForward } from "../blocks.ts"
import type { ConfigReader } from "../config-reader.ts"
import { decoderConfig, type ModelConfig } from "../config.ts"
import {
  latentAttention, latentAttentionWeights, latentScale, readLatentSizes, type LatentAttentionWeights, type LatentSizes,
} from "../latent-attention.ts"
import type { ModelTraits } from "../traits.ts"
import { allOf, experts, type ExpertsConfig } from "../experts.ts"
import type { Routing } from "../stage.ts"
import type { VectorWeight, WeightMap } from "../weights.ts"

interface DeepSeekExperts extends ExpertsConfig {
  /** The checkpoint has a bias for choosing experts. */
  readonly hasBias: boolean
  /** Experts that every token uses, as one MLP of so many times an expert's size. */
  readonly numShared: number
}

export interface DeepSeekConfig extends ModelConfig {
  readonly latent: LatentSizes
  readonly scoreScale: number
  /** Rotary pairs are neighbours. */
  readonly ropeInterleaved: boolean
  readonly experts: DeepSeekExperts | null
  /** Layers behind the last one that predict further tokens: not used here. */
  readonly numNextTokenLayers: number
}

export interface DeepSeekDefaults {
  readonly scores: "softmax" | "sigmoid"
  readonly method: string
  readonly isNormalized: boolean
}

const SCORING = { softmax: "softmax", sigmoid: "sigmoid" } as const
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
function readExperts(reader: ConfigReader, numLayers: number, defaults: DeepSeekDefaults): DeepSeekExperts | null {
  const numExperts = reader.optionalInt("n_routed_experts", { min: 1, max: 65_536 })
  if (numExperts === null && reader.states("n_routed_experts")) return null
  if (numExperts === null) throw new ConfigError("config.json has no n_routed_experts")
  const firstLayer = reader.int("first_k_dense_replace", { min: 0 })
  const interval = reader.int("moe_layer_freq", { min: 1 }, 1)
  return {
    numExperts, ...readRouting(reader, numExperts, defaults),
    size: reader.int("moe_intermediate_size", { min: 1, max: 2_097_152 }),
    numShared: reader.states("n_shared_experts") && !reader.has("n_shared_experts")
      ? 0
      : reader.int("n_shared_experts", { min: 0, max: 1024 }),
    layers: Array.from({ length: numLayers }, (_, l) => l >= firstLayer && l % interval === 0),
  }
}

function readRouting(
  reader: ConfigReader, numExperts: number, defaults: DeepSeekDefaults,
): Pick<DeepSeekExperts, "routing" | "hasBias"> {
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
    hasBias,
    routing: {
      perToken, scores: reader.choice("scoring_func", SCORING, defaults.scores),
      isNormalized: reader.bool("norm_topk_prob", defaults.isNormalized),
      scale: reader.float("routed_scaling_factor", { min: 0, max: 1e6 }),
      groups: numGroups > 1 ? { count: numGroups, top: topGroups, scores: hasBias ? "top2" : "max" } : null,
    },
  }
}

/** Of groups that this way to choose does not have. */
function readUnused(reader: ConfigReader, key: string): number {
  return reader.optionalInt(key, { min: 1 }) ?? 1
}

interface LayerWeights {
  readonly attnNorm: VectorWeight
  readonly attention: LatentAttentionWeights
  readonly mlpNorm: VectorWeight
  readonly feedForward: FeedForward
}

function layerWeights(w: WeightMap, c: DeepSeekConfig, l: number): LayerWeights {
  const { hiddenSize, numHeads, attentionBias: bias } = c
  const p = `model.layers.${l}`
  return {
    attnNorm: w.vector(`${p}.input_layernorm.weight`, hiddenSize),
    attention: latentAttentionWeights(w, `${p}.self_attn`, c.latent, { hiddenSize, numHeads, bias }),
    mlpNorm: w.vector(`${p}.post_attention_layernorm.weight`, hiddenSize),
    feedForward: c.experts?.layers[l] ? mixture(w, `${p}.mlp`, c, c.experts) : gatedMlp(w, `${p}.mlp`, c),
  }
}

function mixture(w: WeightMap, prefix: string, c: DeepSeekConfig, config: DeepSeekExperts): FeedForward {
  const size = config.numShared * config.size
  const shared = size > 0 ? gatedMlp(w, `${prefix}.shared_experts`, c, { size }) : null
  return allOf(shared, experts(w, c, config, {
    router: `${prefix}.gate`, bias: config.hasBias ? `${prefix}.gate.e_score_correction_bias` : null,
    expert: (e) => `${prefix}.experts.${e}`,
  }))
}

/** x += attention(norm(x)); x += mlp(norm(x)), or experts and shared experts. */
export function deepSeekModel(w: WeightMap, c: DeepSeekConfig): Forward {
  const embed = w.vocabulary("model.embed_tokens", c.vocabSize, c.hiddenSize)
  const layers = Array.from({ length: c.numLayers }, (_, l) => layerWeights(w, c, l))
  const weights = { norm: w.vector("model.norm.weight", c.hiddenSize), lmHead: lmHead(w, c, embed) }
  leaveOutNextTokenLayers(w, c)
  return (builder, context) => {
    const b = builder.stage("body", "tokens")
    const rope = { ...ropeTable(builder, c, context), interleaved: c.ropeInterleaved }
    const eps = c.rmsNormEps
    const stream = b.embedding(embed)
    layers.forEach(({ attention, ...layer }, l) => {
      const attended = latentAttention(b, attention, b.rmsNorm(stream, layer.attnNorm, eps), c.latent, {
        layer: context.kv[l]!, rope, scale: c.scoreScale, eps,
      })
      b.linear(attended, attention.out, { addTo: stream })
      layer.feedForward(b, b.rmsNorm(stream, layer.mlpNorm, eps), stream)
    })
    return { hidden: stream, logits: head(builder, stream, weights, eps) }
  }
}

/** Layers that predict further tokens come with the checkpoint, behind the model's own. */
function leaveOutNextTokenLayers(w: WeightMap, { numLayers, numNextTokenLayers }: DeepSeekConfig): void {
  const prefixes = Array.from({ length: numNextTokenLayers }, (_, i) => `model.layers.${numLayers + i}.`)
  w.leaveOut((name) => prefixes.some((prefix) => name.startsWith(prefix)))
}

export function deepSeekTraits({ vocabSize, maxModelLen, numLayers, latent }: DeepSeekConfig): ModelTraits {
  return { vocabSize, maxModelLen, memory: Array.from({ length: numLayers }, () => latent.memory) }
}
