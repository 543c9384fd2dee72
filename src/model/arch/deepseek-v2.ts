// DeepSeek-V2: experts are chosen by softmax, one by one or from the groups of the largest ones.
// Source: arXiv:2405.04434.
import type { Architecture } from "../architecture.ts"
import { deepSeekModel, deepSeekTraits, readDeepSeek, type DeepSeekConfig } from "./deepseek.ts"

export const deepseekV2: Architecture<DeepSeekConfig> = {
  hf: ["DeepseekV2ForCausalLM"],
  modelType: "deepseek_v2",
  config: (reader) => readDeepSeek(reader, { scores: "softmax", method: "greedy", isNormalized: false }),
  traits: deepSeekTraits,
  model: deepSeekModel,
}
