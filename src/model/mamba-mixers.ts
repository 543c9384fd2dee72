/** What Mamba's and Mamba-2's layers have in place of attention. Sources: arXiv:2312.00752, arXiv:2405.21060. */
import { columns, type Matrix } from "../tensor/device.ts"
import type { ModelBuilder } from "./model-builder.ts"
import type { Stage } from "./stage.ts"
import {
  convWeights, gatedRmsNorm, scaleInPlace, scanWeights, StateOps, stateMemory, type Scan,
} from "./state-space.ts"
import type { KVLayer, StateMemory } from "./traits.ts"
import type { LinearWeight, WeightMap } from "./weights.ts"

/** `mix` makes of a layer's normed input what its output projection takes. */
export interface Mixer {
  readonly out: LinearWeight
  mix(builder: ModelBuilder, b: Stage, x: Matrix, place: KVLayer): Matrix
}

interface MixerSizes {
  readonly hiddenSize: number
  /** Channels that a layer works on. */
  readonly innerSize: number
  readonly stateSize: number
  /** Tokens that the convolution sees. */
  readonly taps: number
  readonly hasConvBias: boolean
  /** Of the projections in and out. */
  readonly hasBias: boolean
}

export interface MambaSizes extends MixerSizes {
  /** Columns from which the steps of all channels are made. */
  readonly stepRank: number
  /** These columns, B and C are normed. Null: they are not. */
  readonly normEps: number | null
}

/** Every channel is a head. */
function mambaScan({ innerSize, stateSize }: MambaSizes): Scan {
  return { numHeads: innerSize, headDim: 1, stateDim: stateSize, numGroups: 1 }
}

export function mambaMemory(c: MambaSizes): StateMemory {
  return stateMemory({ channels: c.innerSize, taps: c.taps }, mambaScan(c))
}

export function mambaMixer(w: WeightMap, prefix: string, c: MambaSizes): Mixer {
  const { hiddenSize: E, innerSize: I, stepRank: R, stateSize: N, normEps } = c
  const [memory, scan] = [mambaMemory(c), mambaScan(c)]
  const project = w.linear([[`${prefix}.in_proj`, 2 * I]], E, { bias: c.hasBias })
  const conv = convWeights(w, `${prefix}.conv1d`, { channels: I, taps: c.taps, bias: c.hasConvBias })
  const select = w.linear([[`${prefix}.x_proj`, R + 2 * N]], I, { bias: false })
  const norms = normEps === null ? null : {
    dt: w.vector(`${prefix}.dt_layernorm.weight`, R), b: w.vector(`${prefix}.b_layernorm.weight`, N),
    c: w.vector(`${prefix}.c_layernorm.weight`, N),
  }
  const steps = w.linear([[`${prefix}.dt_proj`, I]], R, { bias: true })
  const weights = scanWeights(w, prefix, { numHeads: I, aCols: N, dtBias: null })
  const out = w.linear([[`${prefix}.out_proj`, E]], I, { bias: c.hasBias })
  const mix: Mixer["mix"] = (builder, b, input, place) => {
    const state = new StateOps(builder, b, memory, place)
    const projected = b.linear(input, project)
    const x = state.causalConv(columns(projected, 0, I), conv)
    const selected = b.linear(x, select)
    const [low, B, C] = [columns(selected, 0, R), columns(selected, R, N), columns(selected, R + N, N)]
    if (norms !== null && normEps !== null) {
      b.rmsNorm(low, norms.dt, normEps, { out: low })
      b.rmsNorm(B, norms.b, normEps, { out: B })
      b.rmsNorm(C, norms.c, normEps, { out: C })
    }
    return state.selectiveScan({ x, dt: b.linear(low, steps), b: B, c: C, z: columns(projected, I, I) }, scan, weights)
  }
  return { out, mix }
}

/** Of the gate, x, B, C and the steps, as they come from the projection. */
export type Multipliers = readonly [z: number, x: number, b: number, c: number, dt: number]

export interface Mamba2Sizes extends MixerSizes {
  readonly scan: Scan
  /** Between which steps are kept. */
  readonly stepLimit: readonly [number, number]
  /** Of the result, with the gate. Null: the gate alone. */
  readonly norm: { readonly eps: number; readonly numGroups: number; readonly gateLast: boolean } | null
  /** Else that of the projection in. */
  readonly hasOutBias?: boolean
  readonly multipliers?: Multipliers
}

/** Channels of the convolution: the scan's input, and B and C of each group. */
function convChannels({ innerSize, scan }: Mamba2Sizes): number {
  return innerSize + 2 * scan.numGroups * scan.stateDim
}

export function mamba2Memory(c: Mamba2Sizes): StateMemory {
  return stateMemory({ channels: convChannels(c), taps: c.taps }, c.scan)
}

export function mamba2Mixer(w: WeightMap, prefix: string, c: Mamba2Sizes): Mixer {
  const [E, I, GN, H] = [c.hiddenSize, c.innerSize, c.scan.numGroups * c.scan.stateDim, c.scan.numHeads]
  const [memory, channels, norm] = [mamba2Memory(c), convChannels(c), c.norm]
  const [zScale, xScale, bScale, cScale, dtScale] = c.multipliers ?? [1, 1, 1, 1, 1]
  // The projection's rows are those of the gate, of the convolution's channels, and of the steps.
  const project = w.linear([[`${prefix}.in_proj`, I + channels + H]], E, { bias: c.hasBias })
  const conv = convWeights(w, `${prefix}.conv1d`, {
    channels, taps: c.taps, bias: c.hasConvBias,
    scaleOf: (channel) => (channel < I ? xScale : channel < I + GN ? bScale : cScale),
  })
  const weights = scanWeights(w, prefix, { numHeads: H, aCols: 1, dtBias: w.vector(`${prefix}.dt_bias`, H) })
  const normWeight = norm === null ? null : w.vector(`${prefix}.norm.weight`, I)
  const out = w.linear([[`${prefix}.out_proj`, E]], I, { bias: c.hasOutBias ?? c.hasBias })
  const mix: Mixer["mix"] = (builder, b, input, place) => {
    const state = new StateOps(builder, b, memory, place)
    const projected = b.linear(input, project)
    const z = scaleInPlace(b, columns(projected, 0, I), zScale)
    const dt = scaleInPlace(b, columns(projected, I + channels, H), dtScale)
    const mixed = state.causalConv(columns(projected, I, channels), conv)
    const x = columns(mixed, 0, I)
    const y = state.selectiveScan({
      x, dt, b: columns(mixed, I, GN), c: columns(mixed, I + GN, GN), z: norm === null ? z : null,
    }, c.scan, { ...weights, dtLimit: c.stepLimit })
    return norm === null || normWeight === null ? y : gatedRmsNorm(b, y, z, normWeight, norm)
  }
  return { out, mix }
}
