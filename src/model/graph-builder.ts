import { ACT, DTYPE, LINEAR_ACCUMULATE, LINEAR_FINE, type Act, type ElementType } from "../../ffi/abi.ts"
import { present } from "../base/assert.ts"
import { rowBytes, type Device, type DeviceArray, type Matrix } from "../tensor/device.ts"
import { args, Program } from "../tensor/program.ts"
import type { LinearWeight, VectorWeight } from "./weights.ts"

/** Where a step's inputs lie in device memory: addresses of int32. Lengths: T, R and their tables, at their largest. */
export interface StepInputs {
  readonly tokenIds: number
  readonly positions: number
  readonly slots: number
  readonly queryStart: number
  readonly seqLens: number
  readonly blockTable: number
  /** M: int32 a request's row of the block table has. */
  readonly blockTableStride: number
  /** Rows of the step whose logits are wanted. */
  readonly sampleRows: number
}

/** One layer's part of the KV cache, and the cache's shape. */
export interface KVLayer {
  readonly key: number
  readonly value: number
  readonly dtype: ElementType
  readonly blockSize: number
  readonly numBlocks: number
}

export interface AttentionShape {
  readonly numHeads: number
  readonly numKvHeads: number
  readonly headDim: number
}

export interface RopeTable {
  readonly table: DeviceArray
  readonly rotDim: number
  readonly numPositions: number
  readonly interleaved: boolean
}

/** Bits of the activations that meet int8 and int4 weights. */
export type ActivationBits = 8 | 12

/**
 * Writes a forward pass down: each method appends one op of baozi.h and returns where its result lies. Ops over the
 * step's tokens go to `body`, ops over the sampled rows to `head`, which may run in several slices a step. Buffers are
 * sized for the largest step.
 */
export class GraphBuilder {
  readonly body: Program
  readonly head: Program
  readonly device: Device
  readonly inputs: StepInputs
  readonly maxTokens: number

  readonly #activationBits: ActivationBits
  #hidden: Matrix | null = null

  constructor(device: Device, inputs: StepInputs, maxTokens: number, activationBits: ActivationBits) {
    this.body = new Program(device.traits)
    this.head = new Program(device.traits)
    this.device = device
    this.inputs = inputs
    this.maxTokens = maxTokens
    this.#activationBits = activationBits
  }

  /** The last layer's output for every token of a step: what the head takes its rows from. */
  get hidden(): Matrix {
    return present(this.#hidden, "the head's input")
  }

  /** A buffer of `cols` activations for every token of a step. */
  buffer(cols: number): Matrix {
    return this.device.matrix(this.maxTokens, cols)
  }

  embedding(weight: LinearWeight, out: Matrix, scale = 1): Matrix {
    this.body.add("bz_embedding", args("embedding", {
      weight: weight.address, ids: this.inputs.tokenIds, y: out, scale,
    }), { num_tokens: "tokens" }, { ids: 4, y: rowBytes(out) })
    return out
  }

  rmsNorm(x: Matrix, weight: VectorWeight, eps: number, out: Matrix, rows: "tokens" | "samples" = "tokens"): Matrix {
    this.#of(rows).add("bz_rms_norm", args("rmsNorm", {
      eps, x, y: out, w: weight.address,
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
      weight: weight.address, bias: weight.biasAddress, x, y: out,
    }), { num_tokens: rows }, { x: rowBytes(x), y: rowBytes(out) })
    return out
  }

  gatedAct(x: Matrix, act: Act, out: Matrix): Matrix {
    this.body.add("bz_gated_act", args("gatedAct", { act: ACT[act], x, y: out }), { num_tokens: "tokens" }, { x: rowBytes(x), y: rowBytes(out) })
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
      qkv, positions: this.inputs.positions, slots: this.inputs.slots, cos_sin: rope?.table.address ?? 0,
      q_norm: norms.q?.address ?? 0, k_norm: norms.k?.address ?? 0, k_cache: kv.key, v_cache: kv.value,
    }), { num_tokens: "tokens" }, { qkv: rowBytes(qkv), positions: 4, slots: 4 })
  }

  attention(
    q: Matrix, shape: AttentionShape, kv: KVLayer, out: Matrix,
    options: { scale: number; window: number; softcap?: number },
  ): Matrix {
    this.body.add("bz_attention", args("attention", {
      num_heads: shape.numHeads, num_kv_heads: shape.numKvHeads, head_dim: shape.headDim, block_size: kv.blockSize,
      num_blocks: kv.numBlocks, kv_dtype: DTYPE[kv.dtype], window: options.window, causal: 1, scale: options.scale,
      softcap: options.softcap ?? 0, block_table_stride: this.inputs.blockTableStride, q, out,
      query_start: this.inputs.queryStart, seq_lens: this.inputs.seqLens, block_table: this.inputs.blockTable,
      k_cache: kv.key, v_cache: kv.value,
    }), { num_tokens: "tokens", num_requests: "requests" })
    return out
  }

  /** The rows of `x` whose logits are wanted. */
  gatherSamples(x: Matrix, out: Matrix): Matrix {
    this.#hidden = x
    this.head.add("bz_gather_rows", args("gatherRows", {
      num_source_rows: this.maxTokens, x, y: out, rows: this.inputs.sampleRows,
    }), { num_rows: "samples" })
    return out
  }

  #of(rows: "tokens" | "samples"): Program {
    return rows === "tokens" ? this.body : this.head
  }
}
