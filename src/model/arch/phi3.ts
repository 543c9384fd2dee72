// Phi-3: differs from Llama by weights that are stacked in the checkpoint, and a window where its config names one.
import type { Architecture } from "../architecture.ts"
import { decoderTraits, decoderWeights, preNormDecoder } from "../blocks.ts"
import { decoderConfig, type ModelConfig } from "../config.ts"

export const phi3: Architecture<ModelConfig> = {
  hf: ["Phi3ForCausalLM"],
  modelType: "phi3",
  config: decoderConfig,
  traits: decoderTraits,
  model: (w, c) => {
    const weights = decoderWeights(w, c, { qkvBias: false, outBias: false, qkNorm: false, stacked: true })
    return preNormDecoder(weights, c)
  },
}
