/**
 * Building blocks of layers that keep a state: a convolution over the last few tokens, then a scan. Sources:
 * arXiv:2312.00752, arXiv:2405.21060.
 */
import type { Matrix } from "../tensor/device.ts"
import type { ModelBuilder } from "./model-builder.ts"
import type { Stage } from "./stage.ts"
import type { KVLayer, StateMemory } from "./traits.ts"
import type { VectorWeight, WeightMap } from "./weights.ts"

/** Values whose bytes are a multiple of every library's alignment. */
const ALIGNED_VALUES = 16

const aligned = (size: number): number => Math.ceil(size / ALIGNED_VALUES) * ALIGNED_VALUES

/** float32 values of one state in the cache. `isSplit`: its parts lie in two pools, whose pages are equally large. */
export function stateFloats({ convSize, scanSize }: StateMemory, isSplit: boolean): number {
  return isSplit ? 2 * aligned(Math.max(convSize, scanSize)) : aligned(convSize) + aligned(scanSize)
}

/** A state of a convolution over `channels` and of a scan over heads; see `Scan`. */
export function stateMemory(conv: { channels: number; taps: number }, scan: Scan): StateMemory {
  return {
    kind: "state", convSize: (conv.taps - 1) * conv.channels, scanSize: scan.numHeads * scan.headDim * scan.stateDim,
  }
}

/** The sizes of a scan; see bz_selective_scan. */
export interface Scan {
  readonly numHeads: number
  readonly headDim: number
  readonly stateDim: number
  readonly numGroups: number
}

export interface ConvWeights {
  readonly channels: number
  readonly taps: number
  /** [taps, channels] */
  readonly weight: VectorWeight
  readonly bias: VectorWeight | null
}

export interface ScanWeights {
  /** exp(d * a) is what a step of d leaves of a state: [heads, 1] or [heads, state]. */
  readonly a: VectorWeight
  readonly aCols: number
  readonly dtBias: VectorWeight | null
  readonly skip: VectorWeight
}

/** Checkpoints have a row of taps a channel. `scaleOf`: what a channel's inputs are multiplied by. */
export function convWeights(
  w: WeightMap, prefix: string, { channels, taps, bias, scaleOf = () => 1 }:
  { channels: number; taps: number; bias: boolean; scaleOf?: (channel: number) => number },
): ConvWeights {
  const transpose = (values: Float32Array): Float32Array => values.map((_, i) => {
    const channel = i % channels
    return values[channel * taps + Math.floor(i / channels)]! * scaleOf(channel)
  })
  return {
    channels, taps, weight: w.array(`${prefix}.weight`, [channels, 1, taps], transpose),
    bias: bias ? w.vector(`${prefix}.bias`, channels) : null,
  }
}

/** Checkpoints have log(-a), so that it stays negative in training. `aCols`: 1 for one a head. */
export function scanWeights(
  w: WeightMap, prefix: string,
  { numHeads, aCols, dtBias }: { numHeads: number; aCols: number; dtBias: VectorWeight | null },
): ScanWeights {
  const shape = aCols === 1 ? [numHeads] : [numHeads, aCols]
  const a = w.array(`${prefix}.A_log`, shape, (logs) => logs.map((x) => -Math.exp(x)))
  return { a, aCols, dtBias, skip: w.vector(`${prefix}.D`, numHeads) }
}

/** The ops of one layer's state. */
export class StateOps {
  readonly #stage: Stage
  readonly #builder: ModelBuilder
  readonly #memory: StateMemory
  readonly #place: KVLayer

  constructor(builder: ModelBuilder, stage: Stage, memory: StateMemory, place: KVLayer) {
    this.#stage = stage
    this.#builder = builder
    this.#memory = memory
    this.#place = place
  }

  /** In place, through SiLU. */
  causalConv(x: Matrix, { taps, weight, bias }: ConvWeights): Matrix {
    this.#stage.op("bz_causal_conv", {
      num_taps: taps, silu: 1, ...this.#slots(), x, y: x, w: weight.address, bias: bias?.address ?? 0,
      state: this.#place.key,
    }, { num_tokens: "tokens", num_requests: "requests" }, {
      cost: { kind: "state", bytes: this.#memory.convSize * 4, products: taps * x.cols },
    })
    return x
  }

  /** The result takes the place of `x`. `z`: what gates it here. `dtLimit`: of steps. */
  selectiveScan(
    { x, dt, b, c, z = null }: { x: Matrix; dt: Matrix; b: Matrix; c: Matrix; z?: Matrix | null },
    { numHeads, headDim, stateDim, numGroups }: Scan,
    { a, aCols, dtBias, skip, dtLimit = [0, Infinity] }: ScanWeights & { dtLimit?: readonly [number, number] },
  ): Matrix {
    const { key, value } = this.#place
    this.#stage.op("bz_selective_scan", {
      num_heads: numHeads, head_dim: headDim, state_dim: stateDim, num_groups: numGroups, dt_min: dtLimit[0],
      dt_max: dtLimit[1], ...this.#slots(), x, dt, b, c, ...(z === null ? {} : { z }), y: x,
      a: { address: a.address, dtype: "F32", cols: aCols, stride: aCols }, dt_bias: dtBias?.address ?? 0,
      skip: skip.address, state: value === 0 ? key + aligned(this.#memory.convSize) * 4 : value,
    }, { num_tokens: "tokens", num_requests: "requests" }, {
      cost: { kind: "state", bytes: this.#memory.scanSize * 4, products: 2 * this.#memory.scanSize },
    })
    return x
  }

  #slots() {
    const { inputs } = this.#builder
    const { group, numBlocks, pageBytes } = this.#place
    const { readSlots, writeSlots } = inputs.groups[group]!
    return {
      num_slots: numBlocks, state_stride: pageBytes / 4, query_start: inputs.queryStart, read_slots: readSlots,
      write_slots: writeSlots,
    }
  }
}

/** x * scale, in place. */
export function scaleInPlace(b: Stage, x: Matrix, scale: number): Matrix {
  return scale === 1 ? x : b.add(x, x, scale - 1)
}

/** Norm of groups with a gate, in place of `x`. */
export function gatedRmsNorm(
  b: Stage, x: Matrix, z: Matrix, weight: VectorWeight,
  { eps, numGroups, gateLast = false }: { eps: number; numGroups: number; gateLast?: boolean },
): Matrix {
  b.rowOp("bz_gated_rms_norm", {
    num_groups: numGroups, gate_last: gateLast ? 1 : 0, eps, x, z, y: x, w: weight.address,
  })
  return x
}
