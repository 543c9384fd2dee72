/** What Qwen's and OLMoE's mixtures have in common: a router and experts under `mlp`, in some layers or in all. */
import type { FeedForward } from "../blocks.ts"
import { decoderConfig, type ConfigReader, type ModelConfig } from "../config.ts"
import { experts, readNumExperts, readSparseLayers, softmaxRouting, type ExpertsConfig } from "../experts.ts"
import type { WeightMap } from "../weights.ts"

export interface MixtureConfig extends ModelConfig {
  readonly experts: ExpertsConfig
}

/** `sizeKey`: names an expert's inner size. */
export function readMixture(
  reader: ConfigReader, sizeKey: string, defaults: { headDim?: number } = {},
): MixtureConfig {
  const config = decoderConfig(reader, defaults)
  const numExperts = readNumExperts(reader, ["num_experts", "num_local_experts"])
  return {
    ...config,
    experts: {
      numExperts, routing: softmaxRouting(reader, numExperts, reader.bool("norm_topk_prob", false)),
      size: reader.int(sizeKey, { min: 1, max: 2_097_152 }), layers: readSparseLayers(reader, config.numLayers),
    },
  }
}

/** Null for a layer that has an MLP. */
export function layerExperts(w: WeightMap, c: MixtureConfig, l: number): FeedForward | null {
  if (!c.experts.layers[l]) return null
  const p = `model.layers.${l}.mlp`
  return experts(w, c, c.experts, { router: `${p}.gate`, expert: (e) => `${p}.experts.${e}` })
}
