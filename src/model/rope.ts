/**
 * Rotary embedding tables with the meaning of Hugging Face's `modeling_rope_utils`.
 *
 * Frequencies, phases, cosines and sines are rounded to float32 at each of the steps where torch rounds: at position
 * 100,000 a frequency's last bit is a hundredth of a radian. Sources: arXiv:2104.09864 (RoPE), arXiv:2309.00071 (YaRN),
 * arXiv:2402.13753 (LongRoPE).
 */
import { assert, unreachable } from "../base/assert.ts"
import type { InterpolatedScaling, Llama3Scaling, LongRopeScaling, RopeConfig, YarnScaling } from "./rope-config.ts"

export type { RopeConfig } from "./rope-config.ts"

const f32 = Math.fround

export interface RopeFrequencies {
  /** Radians a position: [rotDim / 2]. */
  readonly invFreq: Float32Array
  /** Multiplies every cosine and sine. */
  readonly attentionScaling: number
}

/**
 * The table that `bz_rope_kv` reads, [numPositions, rotDim]: a position's rotDim/2 cosines, then its rotDim/2 sines.
 *
 * Scalings that depend on the length of the sequence (dynamic, longrope) are those of `maxLength` tokens, for every
 * request, so that its tokens depend neither on when it grew nor on the length that there was memory for.
 */
export function buildCosSinTable(
  rope: RopeConfig, headDim: number, rotDim: number, numPositions: number, maxLength: number = numPositions,
): Float32Array<ArrayBuffer> {
  assert(rotDim === rope.rotDim && rotDim <= headDim, () => `rotDim=${rotDim} config=${rope.rotDim} headDim=${headDim}`)
  const { invFreq, attentionScaling } = ropeFrequencies(rope, maxLength)
  const half = rotDim / 2
  const scale = f32(attentionScaling)
  const table = new Float32Array(numPositions * rotDim)
  for (let position = 0, row = 0; position < numPositions; position++, row += rotDim) {
    for (let i = 0; i < half; i++) {
      const phase = f32(position * invFreq[i]!)
      table[row + i] = f32(Math.cos(phase)) * scale
      table[row + half + i] = f32(Math.sin(phase)) * scale
    }
  }
  return table
}

/** The frequencies for sequences of up to `maxLength` tokens. */
export function ropeFrequencies(rope: RopeConfig, maxLength: number): RopeFrequencies {
  const { theta, rotDim, scaling } = rope
  switch (scaling.type) {
    case "default":
      return { invFreq: map(periods(theta, rotDim), (period) => 1 / period), attentionScaling: 1 }
    case "linear":
      return {
        invFreq: map(periods(theta, rotDim), (period) => f32(1 / period) / f32(scaling.factor)),
        attentionScaling: 1,
      }
    case "dynamic":
      return { invFreq: dynamicFrequencies(rope, scaling, maxLength), attentionScaling: 1 }
    case "factors":
      return { invFreq: dividedPeriods(theta, rotDim, scaling.factors), attentionScaling: 1 }
    case "llama3":
      return { invFreq: llama3Frequencies(theta, rotDim, scaling), attentionScaling: 1 }
    case "yarn":
      return { invFreq: yarnFrequencies(theta, rotDim, scaling), attentionScaling: yarnAttentionScaling(scaling) }
    case "longrope":
      return longRopeFrequencies(theta, rotDim, scaling, maxLength)
    default:
      return unreachable(scaling)
  }
}

/** theta ** (2i / rotDim), the positions that a frequency takes for a radian: [rotDim / 2]. */
function periods(theta: number, rotDim: number): Float32Array {
  return Float32Array.from({ length: rotDim / 2 }, (_, i) => f32(theta) ** f32((2 * i) / rotDim))
}

function map(values: Float32Array, f: (value: number, i: number) => number): Float32Array {
  return values.map(f)
}

function dividedPeriods(theta: number, rotDim: number, factors: readonly number[]): Float32Array {
  return map(periods(theta, rotDim), (period, i) => 1 / f32(f32(factors[i]!) * period))
}

/** Raises theta with the length, so that the slowest frequency spans it. */
function dynamicFrequencies(rope: RopeConfig, scaling: InterpolatedScaling, maxLength: number): Float32Array {
  const { theta, rotDim } = rope
  const { factor, originalMaxPositionEmbeddings: original } = scaling
  const stretch = (factor * Math.max(maxLength, original)) / original - (factor - 1)
  const raised = theta * stretch ** (rotDim / (rotDim - 2))
  return map(periods(raised, rotDim), (period) => 1 / period)
}

/** Divides slow frequencies by the factor, keeps fast ones, and goes from one to the other in between. */
function llama3Frequencies(theta: number, rotDim: number, scaling: Llama3Scaling): Float32Array {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings: original } = scaling
  const span = f32(highFreqFactor - lowFreqFactor)
  return map(periods(theta, rotDim), (period) => {
    const frequency = f32(1 / period)
    const wavelength = f32(f32(2 * Math.PI) / frequency)
    if (wavelength > f32(original / lowFreqFactor)) return frequency / f32(factor)
    if (wavelength < f32(original / highFreqFactor)) return frequency
    const smooth = f32(f32(f32(original / wavelength) - f32(lowFreqFactor)) / span)
    return f32(f32(f32(1 - smooth) * frequency) / f32(factor)) + f32(smooth * frequency)
  })
}

function yarnFrequencies(theta: number, rotDim: number, scaling: YarnScaling): Float32Array {
  const { factor, betaFast, betaSlow, originalMaxPositionEmbeddings: original, truncate } = scaling
  // The dimension whose frequency turns `rotations` times over the original length.
  const dimensionOf = (rotations: number): number =>
    (rotDim * Math.log(original / (rotations * 2 * Math.PI))) / (2 * Math.log(theta))
  const fast = dimensionOf(betaFast)
  const slow = dimensionOf(betaSlow)
  const low = Math.max(truncate ? Math.floor(fast) : fast, 0)
  const high = Math.min(truncate ? Math.ceil(slow) : slow, rotDim - 1)
  const width = f32(low === high ? 0.001 : high - low)
  return map(periods(theta, rotDim), (period, i) => {
    const ramp = Math.min(Math.max(f32(f32(i - f32(low)) / width), 0), 1)
    const kept = f32(1 - ramp)
    const interpolated = f32(1 / f32(f32(factor) * period))
    return f32(interpolated * f32(1 - kept)) + f32(f32(1 / period) * kept)
  })
}

function yarnAttentionScaling(scaling: YarnScaling): number {
  const { attentionFactor, attnFactor, factor, mscale, mscaleAllDim } = scaling
  if (attentionFactor !== null) return attentionFactor
  const scaleOf = (weight: number): number => yarnMagnitude(factor, weight)
  return attnFactor * (mscale && mscaleAllDim ? scaleOf(mscale) / scaleOf(mscaleAllDim) : scaleOf(1))
}

/** How much larger YaRN wants scores to be at a factor. */
export function yarnMagnitude(factor: number, weight: number): number {
  return factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1
}

/** Sequences above the original length use the long factors, at every position. */
function longRopeFrequencies(
  theta: number,
  rotDim: number,
  scaling: LongRopeScaling,
  maxLength: number,
): RopeFrequencies {
  const { factor, attentionFactor, originalMaxPositionEmbeddings: original } = scaling
  const factors = maxLength > original ? scaling.longFactor : scaling.shortFactor
  const derived = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original))
  return { invFreq: dividedPeriods(theta, rotDim, factors), attentionScaling: attentionFactor ?? derived }
}
