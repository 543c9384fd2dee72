// Qwen3-MoE: differs from Qwen3 by experts in place of the MLP.
import type { Architecture } from "../architecture.ts"
import { decoderTraits, decoderWeights, preNormDecoder } from "../blocks.ts"
import { layerExperts, readMixture, type MixtureConfig } from "./qwen-moe.ts"

export const qwen3Moe: Architecture<MixtureConfig> = {
  hf: ["Qwen3MoeForCausalLM"],
  modelType: "qwen3_moe",
  config: (reader) => readMixture(reader, "moe_intermediate_size", { headDim: 128 }),
  traits: decoderTraits,
  model: (w, c) => preNormDecoder(decoderWeights(w, c, {
    qkvBias: c.attentionBias, outBias: c.attentionBias, qkNorm: true, feedForward: (l) => layerExperts(w, c, l),
  }), c),
}
