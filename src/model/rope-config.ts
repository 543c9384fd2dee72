import { ConfigError } from "../base/errors.ts"
import type { ConfigReader } from "./config-reader.ts"

/** How rotary frequencies differ from `theta ** (-2i / rotDim)`. Names and meanings are Hugging Face's `rope_type`. */
export type RopeScaling =
  | { readonly type: "default" }
  | { readonly type: "linear"; readonly factor: number }
  | { readonly type: "dynamic"; readonly factor: number }
  | Llama3Scaling
  | YarnScaling
  | LongRopeScaling
  | { readonly type: "factors"; readonly factors: readonly number[] }

export interface Llama3Scaling {
  readonly type: "llama3"
  readonly factor: number
  readonly lowFreqFactor: number
  readonly highFreqFactor: number
  readonly originalMaxPositionEmbeddings: number
}

export interface YarnScaling {
  readonly type: "yarn"
  readonly factor: number
  readonly originalMaxPositionEmbeddings: number
  /** What cosines and sines are multiplied by; null derives it from the factor and the mscales. */
  readonly attentionFactor: number | null
  /** Null or 0: not set. */
  readonly mscale: number | null
  readonly mscaleAllDim: number | null
  readonly betaFast: number
  readonly betaSlow: number
  /** Rounds the bounds of the ramp to whole dimensions. */
  readonly truncate: boolean
}

export interface LongRopeScaling {
  readonly type: "longrope"
  readonly factor: number
  readonly originalMaxPositionEmbeddings: number
  readonly attentionFactor: number | null
  /** One a frequency: [rotDim / 2]. */
  readonly shortFactor: readonly number[]
  readonly longFactor: readonly number[]
}

export interface RopeConfig {
  readonly theta: number
  /** How many of a head's dimensions rotate: even, at most `headDim`. */
  readonly rotDim: number
  readonly maxPositionEmbeddings: number
  readonly scaling: RopeScaling
}

// Wide of everything in use (theta is 10,000 to 100 million, factors are 1 to 64), and narrow enough that a table of
// them holds neither infinities nor NaN.
const THETA = { min: 2, max: 1e12 } as const
const FACTOR = { min: 1e-6, max: 1e6 } as const
const ORIGINAL_LENGTH = { min: 2, max: 268_435_456 } as const
const TYPES = {
  default: "default", linear: "linear", dynamic: "dynamic", llama3: "llama3", yarn: "yarn", longrope: "longrope",
  su: "longrope", factors: "factors",
} as const

/**
 * Reads `rope_parameters`, or the older `rope_scaling` with `rope_theta` beside it.
 *
 * `factors` is ours: one divisor a frequency, which GGUF files store as a tensor. Errors: `ConfigError`.
 */
export function readRopeConfig(reader: ConfigReader, headDim: number, maxPositionEmbeddings: number): RopeConfig {
  const section = reader.section("rope_scaling") ?? reader.section("rope_parameters")
  // Both are read: the section's value goes before the one beside it.
  const outerTheta = reader.float("rope_theta", THETA, 10_000)
  const outerPartial = reader.float("partial_rotary_factor", { min: 1e-6, max: 1 }, 1)
  const theta = section?.float("rope_theta", THETA, outerTheta) ?? outerTheta
  const partial = section?.float("partial_rotary_factor", { min: 1e-6, max: 1 }, outerPartial) ?? outerPartial
  const rotDim = Math.floor(headDim * partial)
  if (rotDim % 2 !== 0 || rotDim === 0)
    throw new ConfigError(`config.json: ${rotDim} of ${headDim} dimensions of a head rotate; an even number must`)
  const scaling =
    section === null ? { type: "default" as const } : readScaling(section, reader, rotDim, maxPositionEmbeddings)
  return { theta, rotDim, maxPositionEmbeddings, scaling }
}

function readScaling(section: ConfigReader, outer: ConfigReader, rotDim: number, maxPositions: number): RopeScaling {
  const olderType = section.string("type", "default")
  const type = section.choice("rope_type", TYPES, olderType)
  const stated = outer.optionalInt("original_max_position_embeddings", ORIGINAL_LENGTH)
  const readOriginal = (): number =>
    stated ?? section.int("original_max_position_embeddings", ORIGINAL_LENGTH, maxPositions)
  switch (type) {
    case "default":
      return { type }
    case "dynamic":
      // theta is raised to rotDim / (rotDim - 2).
      if (rotDim < 4)
        throw new ConfigError(`config.json: dynamic rope_scaling needs 4 rotating dimensions, not ${rotDim}`)
      return { type, factor: section.float("factor", FACTOR) }
    case "linear":
      return { type, factor: section.float("factor", FACTOR) }
    case "factors":
      return { type, factors: readFactors(section, "factors", rotDim) }
    case "llama3":
      return readLlama3(section, readOriginal())
    case "yarn":
      return readYarn(section, readOriginal(), maxPositions)
    case "longrope":
      return readLongRope(section, readOriginal(), maxPositions, rotDim)
  }
}

function readLlama3(section: ConfigReader, originalMaxPositionEmbeddings: number): Llama3Scaling {
  const factor = section.float("factor", FACTOR)
  const lowFreqFactor = section.float("low_freq_factor", FACTOR)
  const highFreqFactor = section.float("high_freq_factor", FACTOR)
  if (highFreqFactor <= lowFreqFactor)
    throw new ConfigError(
      `config.json: high_freq_factor ${highFreqFactor} is not above low_freq_factor ${lowFreqFactor}`,
    )
  return { type: "llama3", factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings }
}

function readYarn(section: ConfigReader, originalMaxPositionEmbeddings: number, maxPositions: number): YarnScaling {
  return {
    type: "yarn",
    factor: section.float("factor", FACTOR, maxPositions / originalMaxPositionEmbeddings),
    originalMaxPositionEmbeddings,
    attentionFactor: section.optionalFloat("attention_factor", { min: 0, max: 1e6 }),
    mscale: section.optionalFloat("mscale", { min: 0, max: 1e6 }),
    mscaleAllDim: section.optionalFloat("mscale_all_dim", { min: 0, max: 1e6 }),
    betaFast: readRotations(section, "beta_fast", 32),
    betaSlow: readRotations(section, "beta_slow", 1),
    truncate: section.bool("truncate", true),
  }
}

/** Zero means not set. */
function readRotations(section: ConfigReader, key: string, fallback: number): number {
  const isSet = section.float(key, { min: 0 }, 0) !== 0
  return isSet ? section.float(key, FACTOR) : fallback
}

function readLongRope(
  section: ConfigReader, originalMaxPositionEmbeddings: number, maxPositions: number, rotDim: number,
): LongRopeScaling {
  return {
    type: "longrope",
    factor: section.float("factor", FACTOR, maxPositions / originalMaxPositionEmbeddings),
    originalMaxPositionEmbeddings,
    attentionFactor: section.optionalFloat("attention_factor", { min: 0, max: 1e6 }),
    shortFactor: readFactors(section, "short_factor", rotDim),
    longFactor: readFactors(section, "long_factor", rotDim),
  }
}

function readFactors(section: ConfigReader, key: string, rotDim: number): readonly number[] {
  const factors = section.floats(key)
  if (factors?.length !== rotDim / 2)
    throw new ConfigError(
      `config.json: ${key} has ${factors?.length ?? 0} entries; ${rotDim / 2} frequencies need one each`,
    )
  const odd = factors.find((factor) => factor < FACTOR.min || factor > FACTOR.max)
  if (odd !== undefined)
    throw new ConfigError(`config.json: ${key} has ${odd}; ${FACTOR.min} to ${FACTOR.max} is possible`)
  return factors
}
