/**
 * Gemma 2: norms before and after attention and MLP, with weights stored as a difference from one; a scaled embedding;
 * windows in every other layer; caps on attention scores and logits. Source: arXiv:2408.00118.
 */
import type { Architecture, Forward } from "../architecture.ts"
import { attentionMemory, decoderTraits, head, lmHead, ropeAttention, ropeTable } from "../blocks.ts"
import { decoderConfig, type ConfigReader, type ModelConfig, type TorchDType } from "../config.ts"
import type { WeightMap } from "../weights.ts"

interface Gemma2Config extends ModelConfig {
  /** Of attention scores. */
  readonly scale: number
  /** Caps: 0 is none. */
  readonly attentionCap: number
  readonly logitCap: number
  readonly embeddingScale: number
}

const NORM = { offset: 1 } as const

function readConfig(reader: ConfigReader): Gemma2Config {
  // Files state hidden_act too; hidden_activation is the one that counts.
  reader.optionalString("hidden_act")
  const config = decoderConfig(reader, {
    headDim: 256, tieWordEmbeddings: true, actKey: "hidden_activation", act: "gelu_pytorch_tanh",
  })
  const cap = { min: 2 ** -20, max: 2 ** 20 }
  // The default where the key is absent, none where it is null.
  const orNone = (key: string, value: number | null, fallback: number): number =>
    value ?? (reader.states(key) ? 0 : fallback)
  const window = orNone("sliding_window", reader.optionalInt("sliding_window", { min: 1 }), 4096)
  // Without `layer_types` every other layer has the window, starting with the first.
  const windows = reader.has("layer_types") ? config.windows : config.windows.map((_, l) => (l % 2 === 0 ? window : 0))
  return {
    ...config, windows,
    scale: reader.float("query_pre_attn_scalar", { min: 1e-6, max: 1e6 }, 256) ** -0.5,
    attentionCap: orNone("attn_logit_softcapping", reader.optionalFloat("attn_logit_softcapping", cap), 50),
    logitCap: orNone("final_logit_softcapping", reader.optionalFloat("final_logit_softcapping", cap), 30),
    embeddingScale: roundedTo(config.torchDtype, Math.sqrt(config.hiddenSize)),
  }
}

/** The reference multiplies embeddings by a number of the weights' own type. */
function roundedTo(dtype: TorchDType | null, value: number): number {
  if (dtype === "float16") return Math.f16round(value)
  if (dtype !== "bfloat16") return Math.fround(value)
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0]!
  const even = (bits >>> 16) & 1
  return new Float32Array(Uint32Array.of(((bits + 0x7fff + even) >>> 16) << 16).buffer)[0]!
}

function forward(w: WeightMap, c: Gemma2Config): Forward {
  const [E, F, D] = [c.hiddenSize, c.intermediateSize, c.headDim]
  const [HD, KD, bias] = [c.numHeads * D, c.numKvHeads * D, c.attentionBias]
  const embed = w.vocabulary("model.embed_tokens", c.vocabSize, E)
  const layers = Array.from({ length: c.numLayers }, (_, l) => {
    const p = `model.layers.${l}`
    const a = `${p}.self_attn`
    return {
      attnNorm: w.vector(`${p}.input_layernorm.weight`, E),
      qkv: w.linear([[`${a}.q_proj`, HD], [`${a}.k_proj`, KD], [`${a}.v_proj`, KD]], E, { bias }),
      qNorm: null, kNorm: null,
      out: w.linear([[`${a}.o_proj`, E]], HD, { bias }),
      postAttnNorm: w.vector(`${p}.post_attention_layernorm.weight`, E),
      mlpNorm: w.vector(`${p}.pre_feedforward_layernorm.weight`, E),
      gateUp: w.linear([[`${p}.mlp.gate_proj`, F], [`${p}.mlp.up_proj`, F]], E, { bias: false }),
      down: w.linear([[`${p}.mlp.down_proj`, E]], F, { bias: false }),
      postMlpNorm: w.vector(`${p}.post_feedforward_layernorm.weight`, E),
    }
  })
  const weights = { norm: w.vector("model.norm.weight", E), lmHead: lmHead(w, c, embed) }
  return (builder, context) => {
    const b = builder.stage("body", "tokens")
    const rope = ropeTable(builder, c, context)
    const stream = b.embedding(embed, c.embeddingScale)
    layers.forEach((layer, l) => {
      const attended = ropeAttention(b, layer, b.rmsNorm(stream, layer.attnNorm, c.rmsNormEps, NORM), c, {
        memory: attentionMemory(c, l), kv: context.kv[l]!, rope, scale: c.scale, softcap: c.attentionCap,
      })
      const out = b.linear(attended, layer.out)
      b.add(b.rmsNorm(out, layer.postAttnNorm, c.rmsNormEps, { ...NORM, out }), stream)
      const gateUp = b.linear(b.rmsNorm(stream, layer.mlpNorm, c.rmsNormEps, NORM), layer.gateUp)
      const down = b.linear(b.gatedAct(gateUp, c.hiddenAct), layer.down)
      b.add(b.rmsNorm(down, layer.postMlpNorm, c.rmsNormEps, { ...NORM, out: down }), stream)
    })
    return { hidden: stream, logits: head(builder, stream, weights, c.rmsNormEps, { ...NORM, softcap: c.logitCap }) }
  }
}

export const gemma2: Architecture<Gemma2Config> = {
  hf: ["Gemma2ForCausalLM"],
  modelType: "gemma2",
  config: readConfig,
  traits: decoderTraits,
  model: forward,
}
