/**
 * Building blocks that decoder architectures share. An architecture file says how it differs from the plain pre-norm
 * decoder; what three of them need lives here.
 */
import { columns, type Matrix } from "../tensor/device.ts"
import type { Forward, ForwardContext } from "./architecture.ts"
import type { ModelConfig } from "./config.ts"
import type { GraphBuilder } from "./graph-builder.ts"
import { LM_HEAD, type LinearWeight, type VectorWeight, type WeightMap } from "./weights.ts"

export interface DecoderLayerWeights {
  readonly attnNorm: VectorWeight
  readonly qkv: LinearWeight
  readonly qNorm: VectorWeight | null
  readonly kNorm: VectorWeight | null
  readonly out: LinearWeight
  readonly mlpNorm: VectorWeight
  readonly gateUp: LinearWeight
  readonly down: LinearWeight
}

export interface DecoderWeights {
  readonly embed: LinearWeight
  readonly norm: VectorWeight
  readonly lmHead: LinearWeight
  readonly layers: readonly DecoderLayerWeights[]
}

/**
 * The weights of a pre-norm decoder under Llama's names. `qkvBias`: q, k and v have biases; `qkNorm`: heads are
 * normed.
 */
export function decoderWeights(
  w: WeightMap, c: ModelConfig, options: { qkvBias: boolean; outBias: boolean; qkNorm: boolean },
): DecoderWeights {
  const [E, F, D] = [c.hiddenSize, c.intermediateSize, c.headDim]
  const [HD, KD] = [c.numHeads * D, c.numKvHeads * D]
  const embed = w.vocabulary("model.embed_tokens", c.vocabSize, E)
  const layers = Array.from({ length: c.numLayers }, (_, l): DecoderLayerWeights => {
    const p = `model.layers.${l}`
    const a = `${p}.self_attn`
    return {
      attnNorm: w.vector(`${p}.input_layernorm.weight`, E),
      qkv: w.linear([[`${a}.q_proj`, HD], [`${a}.k_proj`, KD], [`${a}.v_proj`, KD]], E, { bias: options.qkvBias }),
      qNorm: options.qkNorm ? w.vector(`${a}.q_norm.weight`, D) : null,
      kNorm: options.qkNorm ? w.vector(`${a}.k_norm.weight`, D) : null,
      out: w.linear([[`${a}.o_proj`, E]], HD, { bias: options.outBias }),
      mlpNorm: w.vector(`${p}.post_attention_layernorm.weight`, E),
      gateUp: w.linear([[`${p}.mlp.gate_proj`, F], [`${p}.mlp.up_proj`, F]], E, { bias: c.mlpBias }),
      down: w.linear([[`${p}.mlp.down_proj`, E]], F, { bias: c.mlpBias }),
    }
  })
  const norm = w.vector("model.norm.weight", E)
  return { embed, norm, lmHead: lmHead(w, c, embed), layers }
}

/** The output head: its own weight, or the embedding's when they are tied. */
export function lmHead(w: WeightMap, c: ModelConfig, embed: LinearWeight): LinearWeight {
  if (c.tieWordEmbeddings && !w.hasOwnHead(embed)) return embed
  return w.vocabulary(LM_HEAD, c.vocabSize, c.hiddenSize)
}

/**
 * x += attention(norm(x)); x += mlp(norm(x)), then the head over the rows that are sampled. Source: arXiv:2302.13971.
 */
export function preNormDecoder(weights: DecoderWeights): Forward {
  return (b, context) => decode(b, weights, context)
}

function decode(b: GraphBuilder, weights: DecoderWeights, context: ForwardContext): void {
  const c = context.config
  const [HD, KD] = [c.numHeads * c.headDim, c.numKvHeads * c.headDim]
  const stream = b.buffer(c.hiddenSize)
  const normed = b.buffer(c.hiddenSize)
  const qkv = b.buffer(HD + 2 * KD)
  const gateUp = b.buffer(2 * c.intermediateSize)
  b.embedding(weights.embed, stream)
  weights.layers.forEach((layer, l) => {
    b.rmsNorm(stream, layer.attnNorm, c.rmsNormEps, normed)
    ropeAttention(b, layer, l, normed, qkv, context)
    b.linear(columns(qkv, 0, HD), layer.out, stream, { accumulate: true })
    b.rmsNorm(stream, layer.mlpNorm, c.rmsNormEps, normed)
    b.linear(normed, layer.gateUp, gateUp)
    const inner = b.gatedAct(gateUp, c.hiddenAct, columns(gateUp, 0, c.intermediateSize))
    b.linear(inner, layer.down, stream, { accumulate: true })
  })
  head(b, stream, weights.norm, weights.lmHead, context)
}

/** q, k, v; head norms, rotation, cache; attention. Its result replaces q in `qkv`. */
function ropeAttention(
  b: GraphBuilder, layer: DecoderLayerWeights, index: number, x: Matrix, qkv: Matrix, context: ForwardContext,
): void {
  const c = context.config
  const kv = context.kv[index]!
  b.linear(x, layer.qkv, qkv)
  b.ropeKv(qkv, c, kv, context.rope, { q: layer.qNorm, k: layer.kNorm, eps: c.rmsNormEps })
  const q = columns(qkv, 0, c.numHeads * c.headDim)
  b.attention(q, c, kv, q, { scale: c.headDim ** -0.5, window: c.windows[index] ?? 0 })
}

/** Final norm and output head over the sampled rows only. */
export function head(
  b: GraphBuilder, stream: Matrix, norm: VectorWeight, weight: LinearWeight, context: ForwardContext,
): void {
  const sampled = b.device.matrix(context.maxSamples, stream.cols)
  b.gatherSamples(stream, sampled)
  b.rmsNorm(sampled, norm, context.config.rmsNormEps, sampled, "samples")
  b.linear(sampled, weight, context.logits, { rows: "samples" })
}
