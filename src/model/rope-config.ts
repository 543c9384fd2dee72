import { ConfigError } from "../base/errors.ts"
import type { ConfigReader } from "./config-reader.ts"

/** How rotary frequencies differ from `theta ** (-2i / rotDim)`. Names and meanings are Hugging Face's `rope_type`. */
export type RopeScaling =
  | { readonly type: "default" }
  | InterpolatedScaling
  | Llama3Scaling
  | YarnScaling
  | LongRopeScaling
  | { readonly type: "factors"; readonly factors: readonly number[] }

export interface InterpolatedScaling {
  readonly type: "linear" | "dynamic"
  readonly factor: number
  readonly originalMaxPositionEmbeddings: number
}

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
  /** Multiplies the derived factor; 1 where `attentionFactor` is stated. */
  readonly attnFactor: number
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
 * Reads `rope_parameters`, or the older `rope_scaling` with `rope_theta` beside it. Where a config has both,
 * `rope_scaling` says how frequencies are scaled, and `rope_parameters` may add the values that it leaves out.
 *
 * `factors` is ours: one divisor a frequency, which GGUF files store as a tensor. Errors: `ConfigError`.
 */
export function readRopeConfig(reader: ConfigReader, headDim: number, maxPositionEmbeddings: number): RopeConfig {
  const sections = ["rope_scaling", "rope_parameters"].map((key) => reader.section(key)).filter((s) => s !== null)
  // All are read: a section's value takes precedence over the one beside it.
  const readers = [...sections, reader]
  const thetas = readers.map((each) => each.optionalFloat("rope_theta", THETA))
  const partials = readers.map((each) => each.optionalFloat("partial_rotary_factor", { min: 1e-6, max: 1 }))
  const theta = thetas.find((value) => value !== null) ?? 10_000
  const rotDim = Math.floor(headDim * (partials.find((value) => value !== null) ?? 1))
  if (rotDim % 2 !== 0 || rotDim === 0)
    throw new ConfigError(`config.json: ${rotDim} of ${headDim} dimensions of a head rotate; an even number must`)
  const scaling = readScalings(sections, reader, rotDim, maxPositionEmbeddings)
  return { theta, rotDim, maxPositionEmbeddings, scaling }
}

/** Of several sections, one may scale. The first of those that name a type is the one that counts. */
function readScalings(
  sections: readonly ConfigReader[], outer: ConfigReader, rotDim: number, maxPositions: number,
): RopeScaling {
  const scalings = sections.map((section) => readScaling(section, outer, rotDim, maxPositions))
  const active = scalings.filter(({ type }) => type !== "default")
  if (active.length > 1 && !Bun.deepEquals(active[0], active[1]))
    throw new ConfigError("config.json: rope_scaling and rope_parameters scale differently; give one of them")
  return active[0] ?? { type: "default" }
}

/**
 * The longest sequence that scaled frequencies are meant for: as many positions as the model was trained on, times the
 * factor. Of YaRN's configs some state the result as `max_position_embeddings` and others the length before it; the
 * larger of both counts.
 */
export function scaledLength({ scaling, maxPositionEmbeddings: stated }: RopeConfig): number {
  if (scaling.type !== "linear" && scaling.type !== "dynamic" && scaling.type !== "yarn") return stated
  const scaled = Math.max(1, Math.floor(scaling.originalMaxPositionEmbeddings * scaling.factor))
  const isStatedBefore = scaling.type !== "yarn" && scaling.originalMaxPositionEmbeddings === stated
  return isStatedBefore ? scaled : Math.max(stated, scaled)
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
      return { type, factor: section.float("factor", FACTOR), originalMaxPositionEmbeddings: readOriginal() }
    case "linear":
      return { type, factor: section.float("factor", FACTOR), originalMaxPositionEmbeddings: readOriginal() }
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
  // A setting of the reference implementation, which released configs leave at 1.
  section.expect("extrapolation_factor", 1)
  const attentionFactor = section.optionalFloat("attention_factor", { min: 0, max: 1e6 })
  const attnFactor = section.optionalFloat("attn_factor", { min: 0, max: 1e6 })
  if (attentionFactor !== null && attnFactor !== null)
    throw new ConfigError("config.json: rope_scaling has attention_factor and attn_factor; give one of them")
  return {
    type: "yarn",
    factor: section.float("factor", FACTOR, maxPositions / originalMaxPositionEmbeddings),
    originalMaxPositionEmbeddings,
    attentionFactor,
    attnFactor: attnFactor ?? 1,
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
