// Qwen3: differs from Llama by an RMS norm on each q and k head, and a head size of its own.
import type { Architecture } from "../architecture.ts"
import { decoderTraits, decoderWeights, preNormDecoder } from "../blocks.ts"
import { decoderConfig, type ModelConfig } from "../config.ts"

export const qwen3: Architecture<ModelConfig> = {
  hf: ["Qwen3ForCausalLM"],
  modelType: "qwen3",
  config: (reader) => decoderConfig(reader, { headDim: 128 }),
  traits: decoderTraits,
  model: (w, c) =>
    preNormDecoder(decoderWeights(w, c, { qkvBias: c.attentionBias, outBias: c.attentionBias, qkNorm: true }), c),
}
