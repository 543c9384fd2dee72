// OLMoE: experts in place of the MLP; q and k are normed over all of their heads together. Source: arXiv:2409.02060.
import type { Architecture } from "../architecture.ts"
import { decoderTraits, decoderWeights, preNormDecoder } from "../blocks.ts"
import { layerExperts, readMixture, type MixtureConfig } from "./qwen-moe.ts"

export const olmoe: Architecture<MixtureConfig> = {
  hf: ["OlmoeForCausalLM"],
  modelType: "olmoe",
  config: (reader) => readMixture(reader, "intermediate_size"),
  traits: decoderTraits,
  model: (w, c) => preNormDecoder(decoderWeights(w, c, {
    qkvBias: c.attentionBias, outBias: c.attentionBias, qkNorm: "rows", feedForward: (l) => layerExperts(w, c, l),
  }), c),
}
