// Qwen2: differs from Llama by biases on q, k and v.
import type { Architecture } from "../architecture.ts"
import { decoderWeights, preNormDecoder } from "../blocks.ts"
import { decoderConfig } from "../config.ts"

export const qwen2: Architecture = {
  hf: ["Qwen2ForCausalLM"],
  modelType: "qwen2",
  config: decoderConfig,
  model: (w, c) => preNormDecoder(decoderWeights(w, c, { qkvBias: true, outBias: false, qkNorm: false })),
}
