/** Bamba: Mamba-2's layers, some of them with attention in their place. Source: the reference's configuration_bamba. */
import { ConfigError } from "../../base/errors.ts"
import type { Architecture } from "../architecture.ts"
import { gatedMlp } from "../blocks.ts"
import { decoderConfig, type ConfigReader, type ModelConfig } from "../config.ts"
import { hybridDecoder, hybridTraits, hybridWeights, readHybridMamba2, type LayerKinds } from "../hybrid-decoder.ts"
import { readStepLimit } from "../mamba-decoder.ts"
import { mamba2Memory, mamba2Mixer, type Mamba2Sizes } from "../mamba-mixers.ts"

interface BambaConfig extends ModelConfig {
  readonly mamba: Mamba2Sizes
  readonly kinds: readonly LayerKinds[]
}

function readConfig(reader: ConfigReader): BambaConfig {
  const config = decoderConfig(reader)
  const { hiddenSize, numLayers, rmsNormEps: eps } = config
  const attending = new Set(reader.intList("attn_layer_indices", { min: 0 }))
  const beyond = [...attending].find((layer) => layer >= numLayers)
  if (beyond !== undefined)
    throw new ConfigError(`config.json: attn_layer_indices has ${beyond}, num_hidden_layers is ${numLayers}`)
  reader.optionalFloat("z_loss_coefficient", {}) // of training
  return {
    ...config,
    kinds: Array.from({ length: numLayers }, (_, l) => ({ attends: attending.has(l), keepsState: !attending.has(l) })),
    mamba: {
      ...readHybridMamba2(reader, hiddenSize, { stateSize: 256 }), hiddenSize, stepLimit: readStepLimit(reader),
      norm: { eps, numGroups: 1, gateLast: false },
    },
  }
}

export const bamba: Architecture<BambaConfig> = {
  hf: ["BambaForCausalLM"],
  modelType: "bamba",
  config: readConfig,
  traits: (c) => hybridTraits(c, c.kinds, mamba2Memory(c.mamba)),
  model: (w, c) => hybridDecoder(hybridWeights(w, c, c.kinds, {
    mixer: (prefix) => mamba2Mixer(w, prefix, c.mamba),
    feedForward: (prefix) => gatedMlp(w, `${prefix}.feed_forward`, c),
  }), c, { rotates: true }),
}
