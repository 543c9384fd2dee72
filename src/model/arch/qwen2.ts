// Qwen2: differs from Llama by biases on q, k and v.
import type { Architecture } from "../architecture.ts"
import { decoderTraits, decoderWeights, preNormDecoder } from "../blocks.ts"
import { decoderConfig, type ModelConfig } from "../config.ts"

export const qwen2: Architecture<ModelConfig> = {
  hf: ["Qwen2ForCausalLM"],
  modelType: "qwen2",
  config: decoderConfig,
  traits: decoderTraits,
  model: (w, c) => preNormDecoder(decoderWeights(w, c, { qkvBias: true, outBias: false, qkNorm: false }), c),
}
