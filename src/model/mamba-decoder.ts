/** What models that keep nothing but states have in common. */
import { ConfigError } from "../base/errors.ts"
import type { Forward } from "./architecture.ts"
import { head, lmHead } from "./blocks.ts"
import { LIMITS, readTorchDtype, type ConfigReader, type TorchDType } from "./config.ts"
import type { Mixer } from "./mamba-mixers.ts"
import type { ModelTraits, StateMemory } from "./traits.ts"
import type { WeightMap } from "./weights.ts"

export interface MambaConfig {
  readonly vocabSize: number
  readonly hiddenSize: number
  readonly numLayers: number
  /** Channels that a layer works on. */
  readonly innerSize: number
  readonly stateSize: number
  /** Tokens that the convolution sees. */
  readonly taps: number
  readonly rmsNormEps: number
  readonly hasBias: boolean
  readonly hasConvBias: boolean
  readonly tieWordEmbeddings: boolean
  readonly maxModelLen: number
  readonly bosTokenId: number | null
  readonly eosTokenIds: readonly number[]
  readonly torchDtype: TorchDType | null
}

/** Files state no length, and a state has room for any: what the buffers of requests are made for. */
const DEFAULT_LENGTH = 32_768
export const MAX_INNER = 1_048_576
const MAX_STEP = 2 ** 20
export const MAX_STATE = 1024
export const TAPS = { min: 2, max: 8 }

export function mambaConfig(reader: ConfigReader, defaults: { tieWordEmbeddings: boolean }): MambaConfig {
  const hiddenSize = reader.int("hidden_size", { min: 1, max: LIMITS.hiddenSize })
  const expand = reader.float("expand", { min: 2 ** -10, max: 1024 }, 2)
  const stated = reader.optionalInt("intermediate_size", { min: 1, max: MAX_INNER })
  const innerSize = stated ?? Math.floor(expand * hiddenSize)
  if (innerSize < 1 || innerSize > MAX_INNER)
    throw new ConfigError(
      `config.json: expand is ${expand}; of hidden_size ${hiddenSize} that makes ${innerSize} channels, ` +
        `which must be in [1, ${MAX_INNER}]`)
  reader.choice("hidden_act", { silu: true, swish: true }, "silu")
  // How the weights were made, and how the reference cuts and rounds what is computed here in float32, token by token.
  for (const key of ["time_step_min", "time_step_max", "time_step_floor", "time_step_scale"])
    reader.optionalFloat(key, {})
  reader.optionalString("time_step_init_scheme")
  reader.optionalInt("chunk_size", { min: 1 })
  for (const key of ["residual_in_fp32", "rescale_prenorm_residual", "use_mambapy", "use_associative_scan"])
    reader.bool(key, false)
  return {
    hiddenSize, innerSize,
    vocabSize: reader.int("vocab_size", { min: 1, max: LIMITS.vocabSize }),
    numLayers: reader.int("num_hidden_layers", { min: 1, max: LIMITS.layers }),
    stateSize: reader.int("state_size", { min: 1, max: MAX_STATE }),
    taps: reader.int("conv_kernel", TAPS, 4),
    rmsNormEps: reader.float("layer_norm_epsilon", { min: LIMITS.leastEps, max: 1 }, 1e-5),
    hasBias: reader.bool("use_bias", false),
    hasConvBias: reader.bool("use_conv_bias", true),
    tieWordEmbeddings: reader.bool("tie_word_embeddings", defaults.tieWordEmbeddings),
    maxModelLen: reader.int("max_position_embeddings", { min: 1, max: LIMITS.positions }, DEFAULT_LENGTH),
    bosTokenId: reader.optionalInt("bos_token_id", { min: 0 }),
    eosTokenIds: reader.intList("eos_token_id", { min: 0 }),
    torchDtype: readTorchDtype(reader),
  }
}

/** Two numbers between which steps are kept. */
export function readStepLimit(reader: ConfigReader): readonly [number, number] {
  const limit = reader.extendedFloats("time_step_limit") ?? [0, Infinity]
  const [least, most] = limit
  const isRange = least !== undefined && most !== undefined && limit.length === 2 && least >= 0 && most >= least
  if (!isRange || least > MAX_STEP)
    throw new ConfigError(
      `config.json: time_step_limit is [${limit.slice(0, 4).join(", ")}]; it must be two numbers, rising from 0, ` +
        `the first at most ${MAX_STEP}`)
  return [least, most]
}

export function mambaTraits(c: MambaConfig, memory: StateMemory): ModelTraits {
  return {
    vocabSize: c.vocabSize, maxModelLen: c.maxModelLen, memory: Array.from({ length: c.numLayers }, () => memory),
  }
}

/** x += out(mix(norm(x))), then the head. `mixer`: of a layer, from its prefix. */
export function mambaDecoder(w: WeightMap, c: MambaConfig, mixer: (prefix: string) => Mixer): Forward {
  const embed = w.vocabulary("backbone.embeddings", c.vocabSize, c.hiddenSize)
  const layers = Array.from({ length: c.numLayers }, (_, l) => {
    const p = `backbone.layers.${l}`
    return { norm: w.vector(`${p}.norm.weight`, c.hiddenSize), mixer: mixer(`${p}.mixer`) }
  })
  const weights = { norm: w.vector("backbone.norm_f.weight", c.hiddenSize), lmHead: lmHead(w, c, embed) }
  return (builder, context) => {
    const b = builder.stage("body", "tokens")
    const stream = b.embedding(embed)
    layers.forEach(({ norm, mixer: { mix, out } }, l) => {
      b.linear(mix(builder, b, b.rmsNorm(stream, norm, c.rmsNormEps), context.kv[l]!), out, { addTo: stream })
    })
    return { hidden: stream, logits: head(builder, stream, weights, c.rmsNormEps) }
  }
}
