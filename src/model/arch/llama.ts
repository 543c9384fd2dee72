// Llama and Mistral: pre-norm decoder, rotary embedding, gated MLP. Mistral adds a sliding window, which is config.
import type { Architecture } from "../architecture.ts"
import { decoderWeights, preNormDecoder } from "../blocks.ts"
import { decoderConfig } from "../config.ts"

export const llama: Architecture = {
  hf: ["LlamaForCausalLM", "MistralForCausalLM"],
  config: decoderConfig,
  model: (w, c) => preNormDecoder(decoderWeights(w, c, { qkvBias: c.attentionBias, outBias: c.attentionBias, qkNorm: false })),
}
