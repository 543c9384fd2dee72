// Qwen2-MoE: differs from Qwen2 by experts in place of the MLP, beside a shared one with a gate of its own.
import type { Architecture } from "../architecture.ts"
import { decoderTraits, decoderWeights, preNormDecoder } from "../blocks.ts"
import { allOf, gatedSharedExpert } from "../experts.ts"
import { layerExperts, readMixture, type MixtureConfig } from "./qwen-moe.ts"

interface Qwen2MoeConfig extends MixtureConfig {
  readonly sharedSize: number
  readonly qkvBias: boolean
}

export const qwen2Moe: Architecture<Qwen2MoeConfig> = {
  hf: ["Qwen2MoeForCausalLM"],
  modelType: "qwen2_moe",
  config: (reader) => ({
    sharedSize: reader.int("shared_expert_intermediate_size", { min: 1, max: 2_097_152 }),
    qkvBias: reader.bool("qkv_bias", true),
    ...readMixture(reader, "moe_intermediate_size"),
  }),
  traits: decoderTraits,
  model: (w, c) => preNormDecoder(decoderWeights(w, c, {
    qkvBias: c.qkvBias, outBias: false, qkNorm: false,
    feedForward: (l) => {
      const routed = layerExperts(w, c, l)
      if (routed === null) return null
      const p = `model.layers.${l}.mlp`
      const shared = { prefix: `${p}.shared_expert`, gate: `${p}.shared_expert_gate`, size: c.sharedSize }
      return allOf(gatedSharedExpert(w, c, shared), routed)
    },
  }), c),
}
