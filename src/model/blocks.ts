/**
 * Building blocks that decoder architectures share. An architecture file says how it differs from the plain pre-norm
 * decoder; what three of them need lives here.
 */
import type { Act } from "../../ffi/abi.ts"
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
 * normed; `stacked`: the checkpoint has q, k and v in one tensor, gate and up in another.
 */
export function decoderWeights(
  w: WeightMap, c: ModelConfig, options: { qkvBias: boolean; outBias: boolean; qkNorm: boolean; stacked?: boolean },
): DecoderWeights {
  const [E, F, D] = [c.hiddenSize, c.intermediateSize, c.headDim]
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
      qNorm: options.qkNorm ? w.vector(`${a}.q_norm.weight`, D) : null,
      kNorm: options.qkNorm ? w.vector(`${a}.k_norm.weight`, D) : null,
      out: w.linear([[`${a}.o_proj`, E]], HD, { bias: options.outBias }),
      mlpNorm: w.vector(`${p}.post_attention_layernorm.weight`, E),
      gateUp: w.linear(options.stacked
        ? [[`${p}.mlp.gate_up_proj`, 2 * F]]
        : [[`${p}.mlp.gate_proj`, F], [`${p}.mlp.up_proj`, F]], E, { bias: c.mlpBias }),
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
      gatedMlp(b, layer, b.rmsNorm(stream, layer.mlpNorm, c.rmsNormEps), c.hiddenAct, stream)
    })
    return { hidden: stream, logits: head(builder, stream, weights, c.rmsNormEps) }
  }
}

export type GatedMlpWeights = Pick<DecoderLayerWeights, "gateUp" | "down">

export function gatedMlpWeights(
  w: WeightMap, prefix: string, { hiddenSize, size, bias }: { hiddenSize: number; size: number; bias: boolean },
): GatedMlpWeights {
  return {
    gateUp: w.linear([[`${prefix}.gate_proj`, size], [`${prefix}.up_proj`, size]], hiddenSize, { bias }),
    down: w.linear([[`${prefix}.down_proj`, hiddenSize]], size, { bias }),
  }
}

/** stream += down(act(gate(x)) * up(x)) */
export function gatedMlp(b: Stage, { gateUp, down }: GatedMlpWeights, x: Matrix, act: Act, stream: Matrix): void {
  b.linear(b.gatedAct(b.linear(x, gateUp), act), down, { addTo: stream })
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
  b: Stage, layer: Pick<DecoderLayerWeights, "qkv" | "qNorm" | "kNorm">, x: Matrix, c: ModelConfig,
  { memory, kv, rope, scale = c.headDim ** -0.5, softcap = 0 }: {
    memory: AttentionMemory; kv: KVLayer; rope: RopeTable | null; scale?: number; softcap?: number
  },
): Matrix {
  const qkv = b.linear(x, layer.qkv)
  b.ropeKv(qkv, c.numHeads, memory, { kv, rope, norms: { q: layer.qNorm, k: layer.kNorm, eps: c.rmsNormEps } })
  const q = columns(qkv, 0, c.numHeads * c.headDim)
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
