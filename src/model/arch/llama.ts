// Llama: pre-norm decoder, rotary embedding, gated MLP. The plain form that the others differ from.
import type { Architecture } from "../architecture.ts"
import { decoderWeights, preNormDecoder } from "../blocks.ts"
import { decoderConfig } from "../config.ts"

export const llama: Architecture = {
  // The second is what the first conversions of Llama called it.
  hf: ["LlamaForCausalLM", "LLaMAForCausalLM"],
  modelType: "llama",
  // Some checkpoints carry another model's sliding_window; Llama has none.
  config: (reader) => {
    const config = decoderConfig(reader)
    return { ...config, windows: config.windows.map(() => 0) }
  },
  model: (w, c) =>
    preNormDecoder(decoderWeights(w, c, { qkvBias: c.attentionBias, outBias: c.attentionBias, qkNorm: false })),
}
