// Mistral: differs from Llama by a sliding window in every layer, where its config names one.
import type { Architecture } from "../architecture.ts"
import { decoderWeights, preNormDecoder } from "../blocks.ts"
import { decoderConfig } from "../config.ts"

export const mistral: Architecture = {
  hf: ["MistralForCausalLM"],
  modelType: "mistral",
  config: decoderConfig,
  model: (w, c) => preNormDecoder(decoderWeights(w, c, { qkvBias: false, outBias: false, qkNorm: false })),
}
