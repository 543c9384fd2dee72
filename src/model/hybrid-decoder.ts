/** Decoders whose layers have attention, a state, or both. */
import { ConfigError } from "../base/errors.ts"
import type { Matrix } from "../tensor/device.ts"
import type { Forward } from "./architecture.ts"
import { attentionMemory, head, lmHead, ropeAttention, ropeTable, type FeedForward } from "./blocks.ts"
import type { ConfigReader, ModelConfig } from "./config.ts"
import { MAX_INNER, MAX_STATE, TAPS } from "./mamba-decoder.ts"
import type { Mixer } from "./mamba-mixers.ts"
import type { Stage } from "./stage.ts"
import type { Scan } from "./state-space.ts"
import type { LayerMemory, ModelTraits, StateMemory } from "./traits.ts"
import type { LinearWeight, VectorWeight, WeightMap } from "./weights.ts"

/** What a layer has between its first norm and the stream. */
export interface LayerKinds {
  readonly attends: boolean
  readonly keepsState: boolean
}

/** What is multiplied where; all of them are 1 where a config does not speak of them. */
export interface HybridScales {
  /** In place of 1 / sqrt(headDim). */
  readonly score?: number
  readonly embedding?: number
  readonly attentionOut?: number
  readonly stateOut?: number
  readonly logits?: number
}

export interface HybridWeights {
  readonly embed: LinearWeight
  readonly norm: VectorWeight
  readonly lmHead: LinearWeight
  readonly layers: readonly {
    readonly norm: VectorWeight
    readonly attention: { readonly qkv: LinearWeight; readonly out: LinearWeight } | null
    readonly mixer: Mixer | null
    readonly feedForwardNorm: VectorWeight
    readonly feedForward: FeedForward
  }[]
}

/** In the order of layers; one that does both has its attention's first. */
export function hybridTraits(c: ModelConfig, kinds: readonly LayerKinds[], state: StateMemory): ModelTraits {
  const memory = kinds.flatMap(({ attends, keepsState }, l): LayerMemory[] => (
    [...(attends ? [attentionMemory(c, l)] : []), ...(keepsState ? [state] : [])]))
  return { vocabSize: c.vocabSize, maxModelLen: c.maxModelLen, memory }
}

/** The weights that these models name alike. `mixer`, `feedForward`: of a layer, from its prefix. */
export function hybridWeights(
  w: WeightMap, c: ModelConfig, kinds: readonly LayerKinds[],
  { mixer, feedForward, scales = {} }: {
    mixer: (prefix: string) => Mixer; feedForward: (prefix: string, layer: number) => FeedForward; scales?: HybridScales
  },
): HybridWeights {
  const [E, HD, KD] = [c.hiddenSize, c.numHeads * c.headDim, c.numKvHeads * c.headDim]
  const embed = w.vocabulary("model.embed_tokens", c.vocabSize, E)
  const layers = kinds.map(({ attends, keepsState }, l) => {
    const p = `model.layers.${l}`
    const a = `${p}.self_attn`
    return {
      norm: w.vector(`${p}.input_layernorm.weight`, E),
      attention: !attends ? null : {
        qkv: w.linear([[`${a}.q_proj`, HD], [`${a}.k_proj`, KD], [`${a}.v_proj`, KD]], E, { bias: c.attentionBias }),
        out: w.linear([[`${a}.o_proj`, E]], HD, { bias: c.attentionBias }),
      },
      mixer: keepsState ? mixer(`${p}.mamba`) : null,
      feedForwardNorm: w.vector(`${p}.pre_ff_layernorm.weight`, E),
      feedForward: feedForward(p, l),
    }
  })
  const { logits = 1 } = scales
  const norm = w.array("model.final_layernorm.weight", [E], (values) => values.map((x) => x * logits))
  return { embed, norm, lmHead: lmHead(w, c, embed), layers }
}

/**
 * x += attention(norm(x)) + state(norm(x)), one or both of them; x += mlp(norm(x)). `rotates`: attention has rotary
 * positions.
 */
export function hybridDecoder(
  weights: HybridWeights, c: ModelConfig, { rotates, scales = {} }: { rotates: boolean; scales?: HybridScales },
): Forward {
  const { score = c.headDim ** -0.5, embedding = 1, attentionOut = 1, stateOut = 1 } = scales
  return (builder, context) => {
    const b = builder.stage("body", "tokens")
    const rope = rotates ? ropeTable(builder, c, context) : null
    const stream = b.embedding(weights.embed, embedding)
    let place = 0
    weights.layers.forEach(({ norm, attention, mixer, feedForwardNorm, feedForward }, l) => {
      const x = b.rmsNorm(stream, norm, c.rmsNormEps)
      if (attention !== null) {
        const attended = ropeAttention(b, { qkv: attention.qkv, qNorm: null, kNorm: null }, x, c, {
          memory: attentionMemory(c, l), kv: context.kv[place++]!, rope, scale: score,
        })
        addProduct(b, attended, attention.out, stream, attentionOut)
      }
      if (mixer !== null)
        addProduct(b, mixer.mix(builder, b, x, context.kv[place++]!), mixer.out, stream, stateOut)
      feedForward(b, b.rmsNorm(stream, feedForwardNorm, c.rmsNormEps), stream)
    })
    return { hidden: stream, logits: head(builder, stream, weights, c.rmsNormEps) }
  }
}

/** stream += scale * product */
export function addProduct(b: Stage, x: Matrix, weight: LinearWeight, stream: Matrix, scale: number): void {
  if (scale === 1) b.linear(x, weight, { addTo: stream })
  else b.add(b.linear(x, weight), stream, scale)
}

/** Sizes of Mamba-2's mixers under the names that hybrids give them. `innerSize`: channels, else from mamba_expand. */
export function readHybridMamba2(
  reader: ConfigReader, hiddenSize: number, defaults: { stateSize: number },
): { innerSize: number; stateSize: number; taps: number; hasConvBias: boolean; hasBias: boolean; scan: Scan } {
  const stated = reader.optionalInt("mamba_d_ssm", { min: 1, max: MAX_INNER })
  const expand = reader.float("mamba_expand", { min: 2 ** -10, max: 1024 }, 2)
  const innerSize = stated ?? Math.floor(expand * hiddenSize)
  const numHeads = reader.int("mamba_n_heads", { min: 1, max: MAX_INNER }, 128)
  const headDim = reader.optionalInt("mamba_d_head", { min: 1, max: 4096 }) ?? Math.floor(innerSize / numHeads)
  const numGroups = reader.int("mamba_n_groups", { min: 1, max: numHeads }, 1)
  const stateSize = reader.int("mamba_d_state", { min: 1, max: MAX_STATE }, defaults.stateSize)
  if (numHeads * headDim !== innerSize)
    throw new ConfigError(
      `config.json: mamba_n_heads ${numHeads} of mamba_d_head ${headDim} are not the layer's ${innerSize} channels`)
  if (numHeads % numGroups !== 0)
    throw new ConfigError(
      `config.json: mamba_n_heads is ${numHeads}; it must be a multiple of mamba_n_groups ${numGroups}`)
  // How the reference cuts a prompt.
  reader.optionalInt("mamba_chunk_size", { min: 1 })
  return {
    innerSize, stateSize, taps: reader.int("mamba_d_conv", TAPS, 4),
    hasConvBias: reader.bool("mamba_conv_bias", true), hasBias: reader.bool("mamba_proj_bias", false),
    scan: { numHeads, headDim, numGroups, stateDim: stateSize },
  }
}
