// SmolLM3: differs from Llama by layers, every fourth one as a rule, that know no positions. Source: arXiv:2501.18795.
import { ConfigError } from "../../base/errors.ts"
import type { Architecture } from "../architecture.ts"
import { decoderTraits, decoderWeights, preNormDecoder } from "../blocks.ts"
import { decoderConfig, type ConfigReader, type ModelConfig } from "../config.ts"

interface SmolLm3Config extends ModelConfig {
  /** One a layer. */
  readonly rotates: readonly boolean[]
}

function readConfig(reader: ConfigReader): SmolLm3Config {
  reader.expect("use_sliding_window", false)
  const config = decoderConfig(reader, { tieWordEmbeddings: true })
  const interval = reader.int("no_rope_layer_interval", { min: 1 }, 4)
  const stated = reader.intList("no_rope_layers", { min: 0, max: 1 }) // 1: the layer does rotate
  const { numLayers } = config
  if (stated.length > 0 && stated.length !== numLayers)
    throw new ConfigError(
      `config.json: no_rope_layers has ${stated.length} entries, num_hidden_layers is ${numLayers}`)
  const rotates = stated.length > 0
    ? stated.map((flag) => flag === 1)
    : Array.from({ length: numLayers }, (_, l) => (l + 1) % interval !== 0)
  return { ...config, rotates }
}

export const smollm3: Architecture<SmolLm3Config> = {
  hf: ["SmolLM3ForCausalLM"],
  modelType: "smollm3",
  config: readConfig,
  traits: decoderTraits,
  model: (w, c) => {
    const weights = decoderWeights(w, c, { qkvBias: c.attentionBias, outBias: c.attentionBias, qkNorm: false })
    return preNormDecoder(weights, c, { rotates: (l) => c.rotates[l]! })
  },
}
