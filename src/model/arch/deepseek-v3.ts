// DeepSeek-V3: experts are chosen by sigmoid and a bias, from the groups whose two best are largest.
// Source: arXiv:2412.19437.
import type { Architecture } from "../architecture.ts"
import { deepSeekModel, deepSeekTraits, readDeepSeek, type DeepSeekConfig } from "./deepseek.ts"

export const deepseekV3: Architecture<DeepSeekConfig> = {
  hf: ["DeepseekV3ForCausalLM"],
  modelType: "deepseek_v3",
  config: (reader) => readDeepSeek(reader, { scores: "sigmoid", method: "noaux_tc", isNormalized: true }),
  traits: deepSeekTraits,
  model: deepSeekModel,
}
