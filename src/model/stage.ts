import { ACT, DTYPE, GROUP_SCORES, LINEAR_ACCUMULATE, LINEAR_FINE, SCORES, type Act } from "../../ffi/abi.ts"
import { Args } from "../../ffi/args.ts"
import { OPS, type FieldsOf, type FieldType, type OpName, type StructValues } from "../../ffi/structs.ts"
import type { BufferPlan } from "../tensor/buffers.ts"
import { rowBytes, type Device, type DeviceArray, type Matrix } from "../tensor/device.ts"
import type { Dim, RowCount } from "../tensor/program.ts"
import type { HeadWeight } from "./head-weights.ts"
import type { AttentionMemory, KVLayer, KVType, LatentMemory } from "./traits.ts"
import type { LinearWeight, VectorWeight } from "./weights.ts"

/** Where a step's inputs lie in device memory: addresses of int32. Lengths: T, R and their tables, at their largest. */
export interface StepInputs {
  readonly tokenIds: number
  readonly positions: number
  readonly queryStart: number
  readonly seqLens: number
  /** Rows of the step whose logits are wanted. */
  readonly sampleRows: number
  /** One for each group of layers that have their blocks in common. */
  readonly groups: readonly GroupInputs[]
}

/** A group of layers that keep something for every token has the first three, one of states the others; else 0. */
export interface GroupInputs {
  readonly slots: number
  readonly blockTable: number
  /** M: int32 a request's row of the block table has. */
  readonly blockTableStride: number
  /** [R]: where a request's state is before the step, -1 for none, and where it is left. */
  readonly readSlots: number
  readonly writeSlots: number
}

/** Bits of the activations that meet int8 and int4 weights. */
export type ActivationBits = 8 | 12

/** What stages of one forward pass have in common. */
export interface StageContext {
  readonly device: Device
  readonly inputs: StepInputs
  /** Rows at most. */
  readonly sizes: Readonly<Record<Dim, number>>
  readonly activationBits: ActivationBits
  readonly buffers: BufferPlan
}

export interface RopeTable {
  readonly table: DeviceArray
  readonly rotDim: number
  readonly numPositions: number
  /** Pairs are neighbours. */
  readonly interleaved: boolean
}

export interface AttentionOptions {
  readonly numHeads: number
  readonly scale: number
  readonly softcap?: number
  readonly sinks?: VectorWeight | null
}

/** What an op has to read and to multiply at least; what moves activations alone costs next to nothing. */
export type OpCost =
  | { readonly kind: "product"; readonly weight: LinearWeight }
  | { readonly kind: "heads"; readonly weight: HeadWeight }
  /** Each token is multiplied with `perToken` of a stack's matrices. */
  | { readonly kind: "experts"; readonly weight: LinearWeight; readonly perToken: number }
  /** `products`: multiply-adds of a query token with a cached one; `bytesPerToken`: of a cached token. */
  | {
    readonly kind: "attention"
    readonly window: number
    readonly products: number
    readonly bytesPerToken: number
    readonly dtype: KVType
  }
  /** Of a request the state is read and written, `bytes` each; `products`: multiply-adds of a token. */
  | { readonly kind: "state"; readonly bytes: number; readonly products: number }

/** How a router's logits become experts and their weights; see bz_route. */
export interface Routing {
  /** Experts a token goes to. */
  readonly perToken: number
  readonly scores: keyof typeof SCORES
  /** The weights of the chosen add up to one before they are scaled. */
  readonly isNormalized: boolean
  readonly scale: number
  /** Experts are chosen from the best `top` of `count` groups. Null: from all. */
  readonly groups: { readonly count: number; readonly top: number; readonly scores: keyof typeof GROUP_SCORES } | null
}

/** The experts of each token: [T, k] ids, and weights in float32. */
export interface Routed {
  readonly perToken: number
  readonly ids: Matrix
  readonly weights: Matrix
}

/** An op as a stage has it: its buffers have no memory yet. */
export interface StagedOp<N extends OpName = OpName> {
  readonly name: N
  readonly args: Args<N>
  readonly counts: Readonly<Partial<Record<string, RowCount>>>
  /** Fields that point at a row for each row of the stage, with the bytes from row to row. */
  readonly rows: Readonly<Record<string, number>>
  readonly cost: OpCost | null
  /** Fields that hold addresses. */
  readonly pointers: readonly string[]
}

/**
 * A part of a forward pass that runs as a whole, over as many rows as a step has of its kind. Each method appends an op
 * of baozi.h and returns its result: `out` where it is given, else a buffer of its own.
 */
export class Stage {
  readonly name: string
  readonly rows: Dim
  readonly ops: StagedOp[] = []
  readonly #context: StageContext

  constructor(context: StageContext, name: string, rows: Dim) {
    this.#context = context
    this.name = name
    this.rows = rows
  }

  /** `cols` activations for every row of the stage. */
  buffer(cols: number): Matrix {
    const { buffers, sizes, device } = this.#context
    return buffers.add(sizes[this.rows], cols, device.traits.activationType)
  }

  embedding(weight: LinearWeight, scale = 1): Matrix {
    const y = this.buffer(weight.c)
    const { tokenIds } = this.#context.inputs
    this.rowOp("bz_embedding", { weight: weight.address, ids: tokenIds, y, scale }, { rows: { ids: 4 } })
    return y
  }

  /** `offset`: 1 for weights that are stored as a difference from one. */
  rmsNorm(x: Matrix, weight: VectorWeight, eps: number, { out, offset = 0 }: { out?: Matrix; offset?: number } = {}) {
    const y = out ?? this.buffer(x.cols)
    this.rowOp("bz_rms_norm", { eps, w_offset: offset, x, y, w: weight.address })
    return y
  }

  /** With `addTo` the product is added to what is there: a residual stream. */
  linear(x: Matrix, weight: LinearWeight, { out, addTo }: { out?: Matrix; addTo?: Matrix } = {}): Matrix {
    const y = addTo ?? out ?? this.buffer(weight.n)
    const isFine = this.#context.activationBits > 8
    this.rowOp("bz_linear", {
      flags: (addTo ? LINEAR_ACCUMULATE : 0) | (isFine ? LINEAR_FINE : 0), weight: weight.address,
      bias: weight.biasAddress, x, y,
    }, { cost: { kind: "product", weight } })
    return y
  }

  /** `x`: gate and up side by side. The result takes the gate's place. */
  gatedAct(x: Matrix, act: Act): Matrix {
    const y = { ...x, cols: x.cols / 2 }
    this.rowOp("bz_gated_act", { act: ACT[act], x, y })
    return y
  }

  /** `logits`: float32, one for each expert. `bias`: what is added to scores when experts are chosen. */
  route(logits: Matrix, bias: VectorWeight | null, { perToken, scores, isNormalized, scale, groups }: Routing): Routed {
    const { buffers, sizes } = this.#context
    const rows = sizes[this.rows]
    const [ids, weights] = [buffers.add(rows, perToken, "I32"), buffers.add(rows, perToken, "F32")]
    this.rowOp("bz_route", {
      top_k: perToken, scores: SCORES[scores], normalize: isNormalized ? 1 : 0, num_groups: groups?.count ?? 1,
      top_groups: groups?.top ?? 1, group_scores: GROUP_SCORES[groups?.scores ?? "max"], scale, x: logits,
      bias: bias?.address ?? 0, ids: ids.address, weights: weights.address,
    }, { rows: { ids: rowBytes(ids), weights: rowBytes(weights) } })
    return { perToken, ids, weights }
  }

  /**
   * Down(act(gate, up)) of each token's experts, weighted and added to `stream`. All rows go together, so that an
   * expert is read once a step.
   */
  experts(
    x: Matrix, { gateUp, down }: { gateUp: LinearWeight; down: LinearWeight }, { perToken, ids, weights }: Routed,
    { act, stream }: { act: Act; stream: Matrix },
  ): void {
    const both = this.#linearExperts(x, gateUp, { perToken, ids, repeat: perToken })
    const inner = { ...both, cols: both.cols / 2 }
    const each = { dim: this.rows, each: perToken }
    this.op("bz_gated_act", { act: ACT[act], x: both, y: inner }, { num_tokens: each })
    const out = this.#linearExperts(inner, down, { perToken, ids, repeat: 1 })
    this.combine(out, { perToken, ids, weights }, stream)
  }

  /** stream += each token's rows of `x`, weighted. */
  combine(x: Matrix, { perToken, weights }: Routed, stream: Matrix): void {
    this.op("bz_combine", {
      top_k: perToken, accumulate: 1, x, y: stream, weights: weights.address,
    }, { num_tokens: this.rows })
  }

  /** A row for each expert of a token; `repeat`: so many of them have their row of `x` in common. */
  #linearExperts(
    x: Matrix, weight: LinearWeight, { perToken, ids, repeat }: { perToken: number; ids: Matrix; repeat: number },
  ): Matrix {
    const { buffers, sizes, device, activationBits } = this.#context
    const y = buffers.add(sizes[this.rows] * perToken, weight.n, device.traits.activationType)
    this.op("bz_linear_experts", {
      flags: activationBits > 8 ? LINEAR_FINE : 0, x_repeat: repeat, weight: weight.address, bias: weight.biasAddress,
      ids: ids.address, x, y,
    }, { num_rows: { dim: this.rows, each: perToken } }, { cost: { kind: "experts", weight, perToken } })
    return y
  }

  /** y += scale * x */
  add(x: Matrix, y: Matrix, scale = 1): Matrix {
    this.rowOp("bz_add", { scale, x, y })
    return y
  }

  /** Head norms, rotary embedding and the write to the cache, in place. */
  ropeKv(
    qkv: Matrix, numHeads: number, memory: AttentionMemory,
    { kv, rope, norms }: {
      kv: KVLayer; rope: RopeTable | null; norms: { q: VectorWeight | null; k: VectorWeight | null; eps: number }
    },
  ): void {
    const { inputs } = this.#context
    this.rowOp("bz_rope_kv", {
      num_heads: numHeads, num_kv_heads: memory.numKvHeads, head_dim: memory.headDim,
      rot_dim: rope?.rotDim ?? 0, num_positions: rope?.numPositions ?? 0, interleaved: rope?.interleaved ? 1 : 0,
      block_size: kv.blockSize, num_blocks: kv.numBlocks, kv_dtype: DTYPE[kv.dtype], eps: norms.eps,
      qkv, positions: inputs.positions, slots: inputs.groups[kv.group]!.slots, cos_sin: rope?.table.address ?? 0,
      q_norm: norms.q?.address ?? 0, k_norm: norms.k?.address ?? 0, k_cache: kv.key, v_cache: kv.value,
    }, { rows: { positions: 4, slots: 4 } })
  }

  /** The result takes q's place. */
  attention(q: Matrix, memory: AttentionMemory, kv: KVLayer, options: AttentionOptions): Matrix {
    const { inputs } = this.#context
    const { blockTable, blockTableStride } = inputs.groups[kv.group]!
    const { numKvHeads, headDim, window } = memory
    this.op("bz_attention", {
      num_heads: options.numHeads, num_kv_heads: numKvHeads, head_dim: headDim, block_size: kv.blockSize,
      num_blocks: kv.numBlocks, kv_dtype: DTYPE[kv.dtype], window, causal: 1, scale: options.scale,
      softcap: options.softcap ?? 0, block_table_stride: blockTableStride, q, out: q, query_start: inputs.queryStart,
      seq_lens: inputs.seqLens, block_table: blockTable, k_cache: kv.key, v_cache: kv.value,
      sinks: options.sinks?.address ?? 0,
    }, { num_tokens: "tokens", num_requests: "requests" }, {
      cost: {
        kind: "attention", window, products: 2 * options.numHeads * headDim, dtype: kv.dtype,
        bytesPerToken: 2 * numKvHeads * headDim * (kv.dtype === "F32" ? 4 : 2),
      },
    })
    return q
  }

  /**
   * A product of each head with its matrix: of a head's values in `x` the first ones, to the first ones of the head in
   * `out`, which has `outDim` values a head.
   */
  linearHeads(x: Matrix, weight: HeadWeight, outDim: number = weight.n): Matrix {
    const { numHeads, n, c, dtype } = weight
    const y = this.buffer(numHeads * outDim)
    this.rowOp("bz_linear_heads", {
      num_heads: numHeads, n, c, w_dtype: DTYPE[dtype], x, y, w: weight.address,
    }, { cost: { kind: "heads", weight } })
    return y
  }

  /**
   * `kv`: a token's latent, which is normed, and the key that is rotated: both go to the cache. The rotary part of
   * `q`'s heads, rotated, goes to the end of `absorbed`'s.
   */
  latentKv(
    kv: Matrix, q: Matrix, absorbed: Matrix, numHeads: number, memory: LatentMemory,
    { layer, rope, norm }: { layer: KVLayer; rope: RopeTable; norm: { weight: VectorWeight; eps: number } },
  ): void {
    const { inputs } = this.#context
    this.rowOp("bz_latent_kv", {
      num_heads: numHeads, rank: memory.rank, rope_dim: memory.ropeDim, num_positions: rope.numPositions,
      interleaved: rope.interleaved ? 1 : 0, block_size: layer.blockSize, num_blocks: layer.numBlocks,
      kv_dtype: DTYPE[layer.dtype], eps: norm.eps, kv, q, out: absorbed, positions: inputs.positions,
      slots: inputs.groups[layer.group]!.slots, cos_sin: rope.table.address, w: norm.weight.address, cache: layer.key,
    }, { rows: { positions: 4, slots: 4 } })
  }

  /** `q`: a latent and a rotary part a head. The result has a latent a head. */
  latentAttention(
    q: Matrix, memory: LatentMemory, kv: KVLayer, { numHeads, scale }: { numHeads: number; scale: number },
  ): Matrix {
    const { inputs } = this.#context
    const { blockTable, blockTableStride } = inputs.groups[kv.group]!
    const { rank, ropeDim } = memory
    const out = this.buffer(numHeads * rank)
    this.op("bz_latent_attention", {
      num_heads: numHeads, rank, rope_dim: ropeDim, block_size: kv.blockSize, num_blocks: kv.numBlocks,
      kv_dtype: DTYPE[kv.dtype], scale, block_table_stride: blockTableStride, q, out, query_start: inputs.queryStart,
      seq_lens: inputs.seqLens, block_table: blockTable, cache: kv.key,
    }, { num_tokens: "tokens", num_requests: "requests" }, {
      cost: {
        kind: "attention", window: 0, products: numHeads * (2 * rank + ropeDim), dtype: kv.dtype,
        bytesPerToken: (rank + ropeDim) * (kv.dtype === "F32" ? 4 : 2),
      },
    })
    return out
  }

  /** Logits are float32 whatever activations are. */
  logits(x: Matrix, weight: LinearWeight): Matrix {
    const { buffers, sizes } = this.#context
    return this.linear(x, weight, { out: buffers.add(sizes[this.rows], weight.n, "F32") })
  }

  /** The rows of `x` whose logits are wanted. */
  gatherSamples(x: Matrix): Matrix {
    const { inputs, sizes } = this.#context
    const y = this.buffer(x.cols)
    this.op("bz_gather_rows", { num_source_rows: sizes.tokens, x, y, rows: inputs.sampleRows }, { num_rows: "samples" })
    return y
  }

  /**
   * Appends an op that treats each row of the stage for itself: its matrices have one for each. `rows`: its other
   * pointers at rows, with the bytes from row to row.
   */
  rowOp<N extends RowOpName>(
    name: N, values: StructValues<N>,
    { rows = {}, cost = null }: { rows?: { readonly [F in FieldsOf<N>]?: number }; cost?: OpCost | null } = {},
  ): void {
    const matrices = Object.entries<unknown>(values).filter(([field]) => fieldType(name, field) === "matrix")
    const ofMatrices = Object.fromEntries(matrices.map(([field, value]) => [field, rowBytes(value as Matrix)]))
    this.#append(name, values, { counts: { num_tokens: this.rows }, rows: { ...ofMatrices, ...rows }, cost })
  }

  /** Appends an op that takes all rows together. `counts` names the fields that take a step's row counts. */
  op<N extends OpName>(
    name: N, values: StructValues<N>, counts: { readonly [F in FieldsOf<N>]?: RowCount },
    { cost = null }: { cost?: OpCost | null } = {},
  ): void {
    this.#append(name, values, { counts, rows: {}, cost })
  }

  #append<N extends OpName>(
    name: N, values: StructValues<N>, { counts, rows, cost }: {
      counts: Readonly<Partial<Record<string, RowCount>>>
      rows: Readonly<Partial<Record<string, number>>>
      cost: OpCost | null
    },
  ): void {
    const pointers = Object.keys(values).filter((field) => ["ptr", "matrix"].includes(fieldType(name, field)))
    this.ops.push({ name, args: new Args(name, values), counts, rows, cost, pointers } as unknown as StagedOp)
  }
}

/** Ops that may treat each token for itself. */
type RowOpName = { [N in OpName]: "num_tokens" extends FieldsOf<N> ? N : never }[OpName]

function fieldType(name: OpName, field: string): FieldType {
  return (OPS[name].fields as Record<string, FieldType>)[field]!
}
