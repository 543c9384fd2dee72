/**
 * Building blocks that decoder architectures share. An architecture file says how it differs from the plain pre-norm
 * decoder; what three of them need lives here.
 */
import { columns, type Matrix } from "../tensor/device.ts"
import type { Forward, ForwardContext } from "./architecture.ts"
import type { ModelConfig } from "./config.ts"
import type { ModelBuilder } from "./model-builder.ts"
import { buildCosSinTable } from "./rope.ts"
import type { RopeTable, Stage } from "./stage.ts"
import type { AttentionMemory, KVLayer, ModelTraits } from "./traits.ts"
import { LM_HEAD, type LinearWeight, type VectorWeight, type WeightMap } from "./weights.ts"

export interface DecoderLayerWeights {
  readonly attnNorm: VectorWeight
  readonly qkv: LinearWeight
  readonly qNorm: VectorWeight | null
  readonly kNorm: VectorWeight | null
  /** q's norm and k's are over all heads together, not over each. */
  readonly normsRows?: boolean
  readonly out: LinearWeight
  readonly mlpNorm: VectorWeight
  readonly feedForward: FeedForward
}

/** Adds a layer's MLP of `x`, or what the layer has in its place, to `stream`. */
export type FeedForward = (b: Stage, x: Matrix, stream: Matrix) => void

export interface DecoderWeights {
  readonly embed: LinearWeight
  readonly norm: VectorWeight
  readonly lmHead: LinearWeight
  readonly layers: readonly DecoderLayerWeights[]
}

/**
 * The weights of a pre-norm decoder under Llama's names. `qkvBias`: q, k and v have biases; `qkNorm`: heads are
 * normed, each for itself, or with "rows" all together; `stacked`: the checkpoint has q, k and v in one tensor, gate
 * and up in another. `feedForward`: what a layer has in place of an MLP, or null.
 */
export function decoderWeights(
  w: WeightMap, c: ModelConfig, options: {
    qkvBias: boolean; outBias: boolean; qkNorm: boolean | "rows"; stacked?: boolean
    feedForward?: (layer: number) => FeedForward | null
  },
): DecoderWeights {
  const [E, D] = [c.hiddenSize, c.headDim]
  const [HD, KD] = [c.numHeads * D, c.numKvHeads * D]
  const embed = w.vocabulary("model.embed_tokens", c.vocabSize, E)
  const layers = Array.from({ length: c.numLayers }, (_, l): DecoderLayerWeights => {
    const p = `model.layers.${l}`
    const a = `${p}.self_attn`
    return {
      attnNorm: w.vector(`${p}.input_layernorm.weight`, E),
      qkv: w.linear(options.stacked
        ? [[`${a}.qkv_proj`, HD + 2 * KD]]
        : [[`${a}.q_proj`, HD], [`${a}.k_proj`, KD], [`${a}.v_proj`, KD]], E, { bias: options.qkvBias }),
      qNorm: options.qkNorm ? w.vector(`${a}.q_norm.weight`, options.qkNorm === "rows" ? HD : D) : null,
      kNorm: options.qkNorm ? w.vector(`${a}.k_norm.weight`, options.qkNorm === "rows" ? KD : D) : null,
      normsRows: options.qkNorm === "rows",
      out: w.linear([[`${a}.o_proj`, E]], HD, { bias: options.outBias }),
      mlpNorm: w.vector(`${p}.post_attention_layernorm.weight`, E),
      feedForward: options.feedForward?.(l) ?? gatedMlp(w, `${p}.mlp`, c, { stacked: options.stacked ?? false }),
    }
  })
  const norm = w.vector("model.norm.weight", E)
  return { embed, norm, lmHead: lmHead(w, c, embed), layers }
}

/** The output head: its own weight, or the embedding's when they are tied. */
export function lmHead(
  w: WeightMap, c: Pick<ModelConfig, "tieWordEmbeddings" | "vocabSize" | "hiddenSize">, embed: LinearWeight,
): LinearWeight {
  if (c.tieWordEmbeddings && !w.hasOwnHead(embed)) return embed
  return w.vocabulary(LM_HEAD, c.vocabSize, c.hiddenSize)
}

/**
 * x += attention(norm(x)); x += mlp(norm(x)), then the head over the rows that are sampled. `rotates`: whether a layer
 * has rotary positions, or none at all. Source: arXiv:2302.13971.
 */
export function preNormDecoder(
  weights: DecoderWeights, c: ModelConfig, { rotates = () => true }: { rotates?: (layer: number) => boolean } = {},
): Forward {
  return (builder, context) => {
    const b = builder.stage("body", "tokens")
    const rope = ropeTable(builder, c, context)
    const stream = b.embedding(weights.embed)
    weights.layers.forEach((layer, l) => {
      const attended = ropeAttention(b, layer, b.rmsNorm(stream, layer.attnNorm, c.rmsNormEps), c, {
        memory: attentionMemory(c, l), kv: context.kv[l]!, rope: rotates(l) ? rope : null,
      })
      b.linear(attended, layer.out, { addTo: stream })
      layer.feedForward(b, b.rmsNorm(stream, layer.mlpNorm, c.rmsNormEps), stream)
    })
    return { hidden: stream, logits: head(builder, stream, weights, c.rmsNormEps) }
  }
}

/** down(act(gate(x)) * up(x)). `size`: the inner size, else the config's. */
export function gatedMlp(
  w: WeightMap, prefix: string, c: Pick<ModelConfig, "hiddenSize" | "intermediateSize" | "hiddenAct" | "mlpBias">,
  { size = c.intermediateSize, stacked = false }: { size?: number; stacked?: boolean } = {},
): FeedForward {
  const parts: [string, number][] = stacked
    ? [[`${prefix}.gate_up_proj`, 2 * size]]
    : [[`${prefix}.gate_proj`, size], [`${prefix}.up_proj`, size]]
  const gateUp = w.linear(parts, c.hiddenSize, { bias: c.mlpBias })
  const down = w.linear([[`${prefix}.down_proj`, c.hiddenSize]], size, { bias: c.mlpBias })
  return (b, x, stream) => void b.linear(b.gatedAct(b.linear(x, gateUp), c.hiddenAct), down, { addTo: stream })
}

/** What layer `l` of a plain decoder keeps of its tokens. */
export function attentionMemory(c: ModelConfig, l: number): AttentionMemory {
  return { kind: "attention", numKvHeads: c.numKvHeads, headDim: c.headDim, window: c.windows[l] ?? 0 }
}

/** Of a decoder whose layers all keep keys and values. */
export function decoderTraits(c: ModelConfig): ModelTraits {
  return {
    vocabSize: c.vocabSize, maxModelLen: c.maxModelLen,
    memory: Array.from({ length: c.numLayers }, (_, l) => attentionMemory(c, l)),
  }
}

/** The table of a model whose layers all rotate alike. */
export function ropeTable(b: ModelBuilder, c: ModelConfig, context: ForwardContext): RopeTable {
  const { numPositions, maxLength, ropeInterleaved: interleaved } = context
  const table = b.constant(numPositions * c.rotDim, () =>
    buildCosSinTable(c.rope, c.headDim, c.rotDim, numPositions, maxLength))
  return { table, rotDim: c.rotDim, numPositions, interleaved }
}

/** q, k, v; head norms, rotation, cache; attention. `scale`: of scores, else 1 / sqrt(headDim). */
export function ropeAttention(
  b: Stage, layer: Pick<DecoderLayerWeights, "qkv" | "qNorm" | "kNorm" | "normsRows">, x: Matrix, c: ModelConfig,
  { memory, kv, rope, scale = c.headDim ** -0.5, softcap = 0 }: {
    memory: AttentionMemory; kv: KVLayer; rope: RopeTable | null; scale?: number; softcap?: number
  },
): Matrix {
  const qkv = b.linear(x, layer.qkv)
  const [HD, eps] = [c.numHeads * c.headDim, c.rmsNormEps]
  const [q, k] = [columns(qkv, 0, HD), columns(qkv, HD, c.numKvHeads * c.headDim)]
  if (layer.normsRows) {
    for (const [part, norm] of [[q, layer.qNorm], [k, layer.kNorm]] as const)
      if (norm !== null) b.rmsNorm(part, norm, eps, { out: part })
  }
  const norms = layer.normsRows ? { q: null, k: null, eps } : { q: layer.qNorm, k: layer.kNorm, eps }
  b.ropeKv(qkv, c.numHeads, memory, { kv, rope, norms })
  return b.attention(q, memory, kv, { numHeads: c.numHeads, scale, softcap })
}

/** Final norm and output head over the sampled rows only. Returns the logits, capped when `softcap` is not 0. */
export function head(
  builder: ModelBuilder, stream: Matrix, { norm, lmHead }: Pick<DecoderWeights, "norm" | "lmHead">, eps: number,
  { offset = 0, softcap = 0 }: { offset?: number; softcap?: number } = {},
): Matrix {
  const b = builder.stage("head", "samples")
  const sampled = b.gatherSamples(stream)
  const logits = b.logits(b.rmsNorm(sampled, norm, eps, { out: sampled, offset }), lmHead)
  if (softcap > 0) b.rowOp("bz_softcap", { cap: softcap, x: logits, y: logits })
  return logits
}
