// Mixtral: differs from Mistral by experts in place of the MLP. Source: arXiv:2401.04088.
import type { Architecture } from "../architecture.ts"
import { decoderTraits, decoderWeights, preNormDecoder } from "../blocks.ts"
import { decoderConfig, type ConfigReader, type ModelConfig } from "../config.ts"
import { experts, readNumExperts, softmaxRouting, type ExpertsConfig } from "../experts.ts"

interface MixtralConfig extends ModelConfig {
  readonly experts: ExpertsConfig
}

function readConfig(reader: ConfigReader): MixtralConfig {
  const config = decoderConfig(reader)
  const numExperts = readNumExperts(reader, ["num_local_experts"])
  const routing = softmaxRouting(reader, numExperts, true)
  const layers = config.windows.map(() => true)
  return { ...config, experts: { numExperts, routing, size: config.intermediateSize, layers } }
}

export const mixtral: Architecture<MixtralConfig> = {
  hf: ["MixtralForCausalLM"],
  modelType: "mixtral",
  config: readConfig,
  traits: decoderTraits,
  model: (w, c) => preNormDecoder(decoderWeights(w, c, {
    qkvBias: false, outBias: false, qkNorm: false,
    feedForward: (l) => {
      const p = `model.layers.${l}.block_sparse_moe`
      return experts(w, c, c.experts, {
        router: `${p}.gate`, expert: (e) => `${p}.experts.${e}`, parts: ["w1", "w3", "w2"],
      })
    },
  }), c),
}
