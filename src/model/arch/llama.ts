// Llama: pre-norm decoder, rotary embedding, gated MLP. The plain form that the others differ from.
import type { Architecture } from "../architecture.ts"
import { decoderTraits, decoderWeights, preNormDecoder } from "../blocks.ts"
import { decoderConfig, type ModelConfig } from "../config.ts"

export const llama: Architecture<ModelConfig> = {
  // The second is what the first conversions of Llama called it.
  hf: ["LlamaForCausalLM", "LLaMAForCausalLM"],
  modelType: "llama",
  // Some checkpoints carry another model's sliding_window; Llama has none.
  config: (reader) => {
    const config = decoderConfig(reader)
    return { ...config, windows: config.windows.map(() => 0) }
  },
  traits: decoderTraits,
  model: (w, c) =>
    preNormDecoder(decoderWeights(w, c, { qkvBias: c.attentionBias, outBias: c.attentionBias, qkNorm: false }), c),
}
