// Mistral: differs from Llama by a sliding window in every layer, where its config names one.
import type { Architecture } from "../architecture.ts"
import { decoderTraits, decoderWeights, preNormDecoder } from "../blocks.ts"
import { decoderConfig, type ModelConfig } from "../config.ts"

export const mistral: Architecture<ModelConfig> = {
  hf: ["MistralForCausalLM"],
  modelType: "mistral",
  config: decoderConfig,
  traits: decoderTraits,
  model: (w, c) => preNormDecoder(decoderWeights(w, c, { qkvBias: false, outBias: false, qkNorm: false }), c),
}
