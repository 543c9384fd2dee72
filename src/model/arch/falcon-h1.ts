/**
 * Falcon-H1: each layer has attention and a state of Mamba-2's kind side by side, and constants that the weights of
 * each part were trained with. Source: arXiv:2507.22448.
 */
import { ConfigError } from "../../base/errors.ts"
import type { Architecture } from "../architecture.ts"
import type { FeedForward } from "../blocks.ts"
import { decoderConfig, type ConfigReader, type ModelConfig } from "../config.ts"
import {
  addProduct, hybridDecoder, hybridTraits, hybridWeights, readHybridMamba2, type HybridScales, type LayerKinds,
} from "../hybrid-decoder.ts"
import { readStepLimit } from "../mamba-decoder.ts"
import { mamba2Memory, mamba2Mixer, type Mamba2Sizes, type Multipliers } from "../mamba-mixers.ts"
import { scaleInPlace } from "../state-space.ts"
import { columns } from "../../tensor/device.ts"
import type { WeightMap } from "../weights.ts"

interface FalconH1Config extends ModelConfig {
  readonly mamba: Mamba2Sizes
  readonly kinds: readonly LayerKinds[]
  readonly scales: HybridScales
  readonly gateScale: number
  readonly downScale: number
}

const MULTIPLIER = { min: -(2 ** 20), max: 2 ** 20 }

function readMultipliers(reader: ConfigReader, key: string, count: number): readonly number[] {
  const values = reader.floats(key) ?? Array<number>(count).fill(1)
  const isFine = values.length === count && values.every((value) => Math.abs(value) <= MULTIPLIER.max)
  if (!isFine)
    throw new ConfigError(
      `config.json: ${key} has ${values.length} values; it must have ${count}, of at most ${MULTIPLIER.max}`)
  return values
}

function readConfig(reader: ConfigReader): FalconH1Config {
  const config = decoderConfig(reader)
  const { hiddenSize, headDim, rmsNormEps: eps } = config
  const multiplier = (key: string) => reader.float(key, MULTIPLIER, 1)
  const [attentionIn, stateIn] = [multiplier("attention_in_multiplier"), multiplier("ssm_in_multiplier")]
  const sizes = readHybridMamba2(reader, hiddenSize, { stateSize: 256 })
  // A product's input is multiplied behind the product, which its bias does not take.
  if (attentionIn !== 1 && config.attentionBias)
    throw new ConfigError(`config.json: attention_in_multiplier is ${attentionIn}; with attention_bias it must be 1`)
  if (stateIn !== 1 && sizes.hasBias)
    throw new ConfigError(`config.json: ssm_in_multiplier is ${stateIn}; with mamba_proj_bias it must be 1`)
  const [gateScale, downScale] = readMultipliers(reader, "mlp_multipliers", 2) as [number, number]
  const multipliers = readMultipliers(reader, "ssm_multipliers", 5).map((value) => value * stateIn)
  const gateLast = reader.bool("mamba_norm_before_gate", true)
  reader.expect("mamba_use_mlp", true)
  return {
    ...config, gateScale, downScale,
    kinds: Array.from({ length: config.numLayers }, () => ({ attends: true, keepsState: true })),
    scales: {
      // Queries and keys have it both.
      score: headDim ** -0.5 * attentionIn ** 2 * multiplier("key_multiplier"),
      attentionOut: attentionIn * multiplier("attention_out_multiplier"),
      stateOut: multiplier("ssm_out_multiplier"), embedding: multiplier("embedding_multiplier"),
      logits: multiplier("lm_head_multiplier"),
    },
    mamba: {
      ...sizes, hiddenSize, stepLimit: readStepLimit(reader), multipliers: multipliers as unknown as Multipliers,
      hasOutBias: reader.bool("projectors_bias", false),
      norm: reader.bool("mamba_rms_norm", false) ? { eps, numGroups: sizes.scan.numGroups, gateLast } : null,
    },
  }
}

/** down(act(gate(x) * gateScale) * up(x)) * downScale */
function scaledMlp(w: WeightMap, prefix: string, c: FalconH1Config): FeedForward {
  const [E, F, bias] = [c.hiddenSize, c.intermediateSize, c.mlpBias]
  const gateUp = w.linear([[`${prefix}.gate_proj`, F], [`${prefix}.up_proj`, F]], E, { bias })
  const down = w.linear([[`${prefix}.down_proj`, E]], F, { bias })
  return (b, x, stream) => {
    const both = b.linear(x, gateUp)
    scaleInPlace(b, columns(both, 0, F), c.gateScale)
    addProduct(b, b.gatedAct(both, c.hiddenAct), down, stream, c.downScale)
  }
}

export const falconH1: Architecture<FalconH1Config> = {
  hf: ["FalconH1ForCausalLM"],
  modelType: "falcon_h1",
  config: readConfig,
  traits: (c) => hybridTraits(c, c.kinds, mamba2Memory(c.mamba)),
  model: (w, c) => hybridDecoder(hybridWeights(w, c, c.kinds, {
    mixer: (prefix) => mamba2Mixer(w, prefix, c.mamba),
    feedForward: (prefix) => scaledMlp(w, `${prefix}.feed_forward`, c), scales: c.scales,
  }), c, { rotates: true, scales: c.scales }),
}
