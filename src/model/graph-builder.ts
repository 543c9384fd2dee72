import { ACT, DTYPE, LINEAR_ACCUMULATE, LINEAR_FINE, type Act } from "../../ffi/abi.ts"
import { present } from "../base/assert.ts"
import type { Device, HostArray, Matrix } from "../tensor/device.ts"
import { args, Program } from "../tensor/program.ts"
import type { LinearWeight, VectorWeight } from "./weights.ts"

/** Where the runner puts a step's inputs. Lengths: T, R and their tables, at their largest. */
export interface StepInputs {
  readonly tokenIds: HostArray<Int32Array>
  readonly positions: HostArray<Int32Array>
  readonly slots: HostArray<Int32Array>
  readonly queryStart: HostArray<Int32Array>
  readonly seqLens: HostArray<Int32Array>
  readonly blockTable: HostArray<Int32Array>
  /** M: int32 a request's row of the block table has. */
  readonly blockTableStride: number
  /** Rows of the step whose logits are wanted. */
  readonly sampleRows: HostArray<Int32Array>
}

/** One layer's part of the KV cache, and the cache's shape. */
export interface KVLayer {
  readonly key: number
  readonly value: number
  readonly dtype: "F32" | "BF16"
  readonly blockSize: number
  readonly numBlocks: number
}

export interface AttentionShape {
  readonly numHeads: number
  readonly numKvHeads: number
  readonly headDim: number
}

export interface RopeTable {
  readonly table: HostArray<Float32Array>
  readonly rotDim: number
  readonly numPositions: number
  readonly interleaved: boolean
}

/** Bits of the activations that meet int8 and int4 weights. */
export type ActivationBits = 8 | 12

function rowBytes(matrix: Matrix): number {
  return matrix.stride * 4
}

/**
 * Writes a forward pass down: each method appends one op of baozi.h and returns where its result lies. Ops over the
 * step's tokens go to `body`, ops over the sampled rows to `head`, which may run in several slices a step. Buffers are
 * sized for the largest step.
 */
export class GraphBuilder {
  readonly body = new Program()
  readonly head = new Program()
  readonly device: Device
  readonly inputs: StepInputs
  readonly maxTokens: number

  readonly #activationBits: ActivationBits
  #hidden: Matrix | null = null

  constructor(device: Device, inputs: StepInputs, maxTokens: number, activationBits: ActivationBits) {
    this.device = device
    this.inputs = inputs
    this.maxTokens = maxTokens
    this.#activationBits = activationBits
  }

  /** The last layer's output for every token of a step: what the head takes its rows from. */
  get hidden(): Matrix {
    return present(this.#hidden, "the head's input")
  }

  /** A buffer of `cols` float32 for every token of a step. */
  buffer(cols: number): Matrix {
    return this.device.matrix(this.maxTokens, cols)
  }

  embedding(weight: LinearWeight, out: Matrix, scale = 1): Matrix {
    this.body.add("bz_embedding", args("embedding", {
      weight: weight.address, ids: this.inputs.tokenIds.address, y: out.address, y_stride: out.stride, scale,
    }), { num_tokens: "tokens" }, { ids: 4, y: rowBytes(out) })
    return out
  }

  rmsNorm(x: Matrix, weight: VectorWeight, eps: number, out: Matrix, rows: "tokens" | "samples" = "tokens"): Matrix {
    this.#of(rows).add("bz_rms_norm", args("rmsNorm", {
      c: x.cols, eps, x: x.address, w: weight.address, y: out.address, x_stride: x.stride, y_stride: out.stride,
    }), { num_tokens: rows }, { x: rowBytes(x), y: rowBytes(out) })
    return out
  }

  /** With `accumulate`, the product is added to what `out` holds: a residual stream. */
  linear(
    x: Matrix, weight: LinearWeight, out: Matrix,
    options: { accumulate?: boolean; rows?: "tokens" | "samples" } = {},
  ): Matrix {
    const rows = options.rows ?? "tokens"
    this.#of(rows).add("bz_linear", args("linear", {
      flags: (options.accumulate ? LINEAR_ACCUMULATE : 0) | (this.#activationBits > 8 ? LINEAR_FINE : 0),
      weight: weight.address, bias: weight.biasAddress, x: x.address, y: out.address,
      x_stride: x.stride, y_stride: out.stride,
    }), { num_tokens: rows }, { x: rowBytes(x), y: rowBytes(out) })
    return out
  }

  gatedAct(x: Matrix, act: Act, out: Matrix): Matrix {
    this.body.add("bz_gated_act", args("gatedAct", {
      f: out.cols, act: ACT[act], x: x.address, y: out.address, x_stride: x.stride, y_stride: out.stride,
    }), { num_tokens: "tokens" }, { x: rowBytes(x), y: rowBytes(out) })
    return out
  }

  /** Head norms, rotary embedding and the write to the cache; q is left in `qkv`. */
  ropeKv(
    qkv: Matrix, shape: AttentionShape, kv: KVLayer, rope: RopeTable | null,
    norms: { q: VectorWeight | null; k: VectorWeight | null; eps: number },
  ): void {
    this.body.add("bz_rope_kv", args("ropeKv", {
      num_heads: shape.numHeads, num_kv_heads: shape.numKvHeads, head_dim: shape.headDim,
      rot_dim: rope?.rotDim ?? 0, num_positions: rope?.numPositions ?? 0, interleaved: rope?.interleaved ? 1 : 0,
      block_size: kv.blockSize, num_blocks: kv.numBlocks, kv_dtype: DTYPE[kv.dtype], eps: norms.eps,
      qkv: qkv.address, qkv_stride: qkv.stride, positions: this.inputs.positions.address,
      slots: this.inputs.slots.address, cos_sin: rope?.table.address ?? 0, q_norm: norms.q?.address ?? 0,
      k_norm: norms.k?.address ?? 0, k_cache: kv.key, v_cache: kv.value,
    }), { num_tokens: "tokens" }, { qkv: rowBytes(qkv), positions: 4, slots: 4 })
  }

  attention(
    q: Matrix, shape: AttentionShape, kv: KVLayer, out: Matrix,
    options: { scale: number; window: number; softcap?: number },
  ): Matrix {
    this.body.add("bz_attention", args("attention", {
      num_heads: shape.numHeads, num_kv_heads: shape.numKvHeads, head_dim: shape.headDim, block_size: kv.blockSize,
      num_blocks: kv.numBlocks, kv_dtype: DTYPE[kv.dtype], window: options.window, causal: 1, scale: options.scale,
      softcap: options.softcap ?? 0, block_table_stride: this.inputs.blockTableStride, q: q.address, out: out.address,
      q_stride: q.stride, out_stride: out.stride, query_start: this.inputs.queryStart.address,
      seq_lens: this.inputs.seqLens.address, block_table: this.inputs.blockTable.address, k_cache: kv.key,
      v_cache: kv.value,
    }), { num_tokens: "tokens", num_requests: "requests" })
    return out
  }

  /** The rows of `x` whose logits are wanted. */
  gatherSamples(x: Matrix, out: Matrix): Matrix {
    this.#hidden = x
    this.head.add("bz_gather_rows", args("gatherRows", {
      c: x.cols, num_source_rows: this.maxTokens, x: x.address, y: out.address, x_stride: x.stride,
      y_stride: out.stride, rows: this.inputs.sampleRows.address,
    }), { num_rows: "samples" })
    return out
  }

  #of(rows: "tokens" | "samples"): Program {
    return rows === "tokens" ? this.body : this.head
  }
}
