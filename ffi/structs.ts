/**
 * The argument structs of baozi.h, stated a second time: a test compares this table with the library's own
 * `bz_abi_layout()`, so that neither side can drift alone.
 *
 * Fields are listed in order with their C types; offsets follow the C rules (natural alignment, no packing).
 */
import type { DType, ElementType } from "./abi.ts"

export type FieldType = "u32" | "i32" | "f32" | "u64" | "ptr" | "matrix" | "tensor"
export type FieldTable = Readonly<Record<string, FieldType>>

const FIELD_BYTES: Record<FieldType, number> = { u32: 4, i32: 4, f32: 4, u64: 8, ptr: 8, matrix: 24, tensor: 24 }
const FIELD_ALIGN: Record<FieldType, number> = { ...FIELD_BYTES, matrix: 8, tensor: 8 }

export interface StructLayout<F extends FieldTable = FieldTable> {
  readonly name: string
  readonly bytes: number
  readonly fields: F
  readonly offsets: Readonly<Record<keyof F, number>>
}

function struct<const F extends FieldTable>(name: string, fields: F): StructLayout<F> {
  const offsets: Record<string, number> = {}
  let end = 0
  let align = 4
  for (const [field, type] of Object.entries(fields)) {
    align = Math.max(align, FIELD_ALIGN[type])
    end = Math.ceil(end / FIELD_ALIGN[type]) * FIELD_ALIGN[type]
    offsets[field] = end
    end += FIELD_BYTES[type]
  }
  return { name, fields, offsets: offsets as Record<keyof F, number>, bytes: Math.ceil(end / align) * align }
}

/** `bz_abi_layout()`'s form of one struct. */
export function describeLayout(layout: StructLayout): string {
  const fields = Object.entries(layout.fields)
    .map(([field, type]) => `${field}:${layout.offsets[field]}:${FIELD_BYTES[type]}`)
  return `${layout.name} ${layout.bytes} ${fields.join(" ")}`
}

type OpLayouts<T extends Readonly<Record<string, FieldTable>>> = {
  readonly [N in keyof T]: StructLayout<{ readonly args_bytes: "u32" } & T[N]>
}

function opStructs<const T extends Readonly<Record<string, FieldTable>>>(tables: T): OpLayouts<T> {
  const layouts = Object.entries(tables)
    .map(([name, fields]) => [name, struct(`${name}_args`, { args_bytes: "u32", ...fields })])
  return Object.fromEntries(layouts) as OpLayouts<T>
}

/** The ops by the names of their functions, `(stream, const args *) -> status`. */
export const OPS = opStructs({
  bz_embedding: {
    num_tokens: "u32", scale: "f32", reserved: "u32", weight: "ptr", ids: "ptr", y: "matrix",
    row_status: "ptr",
  },
  bz_rms_norm: {
    num_tokens: "u32", eps: "f32", w_offset: "f32", x: "matrix", residual: "matrix", y: "matrix",
    w: "ptr",
  },
  bz_linear: {
    num_tokens: "u32", flags: "u32", reserved: "u32", weight: "ptr", bias: "ptr", x: "matrix",
    y: "matrix",
  },
  bz_route: {
    num_tokens: "u32", top_k: "u32", scores: "u32", normalize: "u32", num_groups: "u32", top_groups: "u32",
    group_scores: "u32", scale: "f32", reserved: "u32", x: "matrix", bias: "ptr", ids: "ptr", weights: "ptr",
  },
  bz_linear_experts: {
    num_rows: "u32", flags: "u32", x_repeat: "u32", weight: "ptr", bias: "ptr", ids: "ptr", x: "matrix",
    y: "matrix", row_status: "ptr",
  },
  bz_combine: {
    num_tokens: "u32", top_k: "u32", accumulate: "u32", x: "matrix", y: "matrix", weights: "ptr",
  },
  bz_gated_act: {
    num_tokens: "u32", act: "u32", reserved: "u32", x: "matrix", y: "matrix",
  },
  bz_rope_kv: {
    num_tokens: "u32", num_heads: "u32", num_kv_heads: "u32", head_dim: "u32", rot_dim: "u32",
    num_positions: "u32", interleaved: "u32", block_size: "u32", num_blocks: "u32", kv_dtype: "u32", eps: "f32",
    qkv: "matrix", positions: "ptr", slots: "ptr", cos_sin: "ptr", q_norm: "ptr", k_norm: "ptr", k_cache: "ptr",
    v_cache: "ptr", row_status: "ptr",
  },
  bz_attention: {
    num_tokens: "u32", num_requests: "u32", num_heads: "u32", num_kv_heads: "u32", head_dim: "u32",
    block_size: "u32", num_blocks: "u32", kv_dtype: "u32", window: "u32", causal: "u32", scale: "f32",
    softcap: "f32", block_table_stride: "u32", q: "matrix", out: "matrix", query_start: "ptr", seq_lens: "ptr",
    block_table: "ptr", k_cache: "ptr", v_cache: "ptr", sinks: "ptr",
  },
  bz_latent_kv: {
    num_tokens: "u32", num_heads: "u32", rank: "u32", rope_dim: "u32", num_positions: "u32", interleaved: "u32",
    block_size: "u32", num_blocks: "u32", kv_dtype: "u32", eps: "f32", reserved: "u32", kv: "matrix", q: "matrix",
    out: "matrix", positions: "ptr", slots: "ptr", cos_sin: "ptr", w: "ptr", cache: "ptr", row_status: "ptr",
  },
  bz_latent_attention: {
    num_tokens: "u32", num_requests: "u32", num_heads: "u32", rank: "u32", rope_dim: "u32", block_size: "u32",
    num_blocks: "u32", kv_dtype: "u32", scale: "f32", block_table_stride: "u32", reserved: "u32", q: "matrix",
    out: "matrix", query_start: "ptr", seq_lens: "ptr", block_table: "ptr", cache: "ptr",
  },
  bz_linear_heads: {
    num_tokens: "u32", num_heads: "u32", n: "u32", c: "u32", w_dtype: "u32", x: "matrix", y: "matrix", w: "ptr",
  },
  bz_causal_conv: {
    num_tokens: "u32", num_requests: "u32", num_taps: "u32", silu: "u32", num_slots: "u32", state_stride: "u64",
    x: "matrix", y: "matrix", query_start: "ptr", read_slots: "ptr", write_slots: "ptr", w: "ptr", bias: "ptr",
    state: "ptr",
  },
  bz_selective_scan: {
    num_tokens: "u32", num_requests: "u32", num_heads: "u32", head_dim: "u32", state_dim: "u32", num_groups: "u32",
    num_slots: "u32", dt_min: "f32", dt_max: "f32", state_stride: "u64", x: "matrix", dt: "matrix", b: "matrix",
    c: "matrix", z: "matrix", y: "matrix", a: "matrix", query_start: "ptr", read_slots: "ptr", write_slots: "ptr",
    dt_bias: "ptr", skip: "ptr", state: "ptr",
  },
  bz_gated_rms_norm: {
    num_tokens: "u32", num_groups: "u32", gate_last: "u32", eps: "f32", reserved: "u32", x: "matrix", z: "matrix",
    y: "matrix", w: "ptr",
  },
  bz_gather_rows: {
    num_rows: "u32", num_source_rows: "u32", reserved: "u32", x: "matrix", y: "matrix",
    rows: "ptr", row_status: "ptr",
  },
  bz_add: {
    num_tokens: "u32", scale: "f32", reserved: "u32", x: "matrix", y: "matrix",
  },
  bz_softcap: {
    num_tokens: "u32", cap: "f32", reserved: "u32", x: "matrix", y: "matrix",
  },
  bz_scatter_ids: {
    num_ids: "u32", num_src: "u32", num_dst: "u32", src: "ptr", src_rows: "ptr", dst_rows: "ptr",
    dst: "ptr",
  },
  bz_check_finite: {
    num_rows: "u32", x: "matrix", row_status: "ptr",
  },
  bz_logits_process: {
    num_requests: "u32", logits: "matrix", bitmask: "ptr", bitmask_row: "ptr", allow_start: "ptr",
    allow_ids: "ptr", edit_start: "ptr", edit_ids: "ptr", edit_values: "ptr", token_ids: "ptr", token_stride: "u64",
    token_row: "ptr", num_tokens_of: "ptr", num_prompt_of: "ptr", repetition: "ptr", frequency: "ptr",
    presence: "ptr", row_status: "ptr",
  },
  bz_sample: {
    num_requests: "u32", logits: "matrix", temperature: "ptr", top_p: "ptr", min_p: "ptr",
    top_k: "ptr", seeds: "ptr", positions: "ptr", out: "ptr", out_processed: "matrix", row_status: "ptr",
  },
  bz_logprobs: {
    num_requests: "u32", num_top: "u32", mode: "u32", logits: "matrix", ids: "ptr",
    out_logprob: "ptr", out_rank: "ptr", out_top_ids: "ptr", out_top_logprobs: "ptr",
  },
})
export type OpName = keyof typeof OPS

export const STRUCTS = {
  ...OPS,
  stream: struct("bz_stream_args", {
    args_bytes: "u32", num_threads: "u32", isa: "ptr", spin_us: "u32", reserved: "u32",
  }),
  matrix: struct("bz_matrix", { data: "ptr", dtype: "u32", cols: "u32", stride: "u64" }),
  traits: struct("bz_traits_args", {
    args_bytes: "u32", out_activation_dtype: "u32", out_is_async: "u32", out_alignment: "u32",
    out_slice_tokens: "u32", out_logit_rows: "u32", out_max_graphs: "u32", out_capture_rows: "u32",
    out_kv_dtypes: "u32", out_block_multiple: "u32",
  }),
  streamMemory: struct("bz_stream_memory_args", {
    args_bytes: "u32", reserved: "u32", out_device_bytes: "u64", out_staging_bytes: "u64", out_weight_bytes: "u64",
    out_scratch_bytes: "u64",
  }),
  deviceMemory: struct("bz_device_memory_args", {
    args_bytes: "u32", reserved: "u32", out_total_bytes: "u64", out_free_bytes: "u64",
  }),
  plan: struct("bz_plan_args", { args_bytes: "u32", reserved: "u32", out_scratch_bytes: "u64" }),
  memAlloc: struct("bz_mem_alloc_args", { args_bytes: "u32", kind: "u32", bytes: "u64" }),
  copy: struct("bz_copy_args", { args_bytes: "u32", reserved: "u32", bytes: "u64", dst: "ptr", src: "ptr" }),
  memTouch: struct("bz_mem_touch_args", { args_bytes: "u32", reserved: "u32", bytes: "u64", data: "ptr" }),
  fileMap: struct("bz_file_map_args", {
    args_bytes: "u32", reserved: "u32", path: "ptr", out_data: "ptr", out_bytes: "u64",
  }),
  fileRange: struct("bz_file_range_args", { args_bytes: "u32", reserved: "u32", data: "ptr", bytes: "u64" }),
  weightTensor: struct("bz_weight_tensor", { data: "ptr", bytes: "u64", dtype: "u32", reserved: "u32" }),
  weightPart: struct("bz_weight_part", {
    n: "u32", scheme: "u32", group_rows: "u32", group_cols: "u32", values: "tensor", scales: "tensor",
    zeros: "tensor", group_index: "tensor",
  }),
  weight: struct("bz_weight_args", {
    args_bytes: "u32", num_parts: "u32", n: "u32", c: "u32", num_experts: "u32", compute: "u32", parts: "ptr",
  }),
  weightInfo: struct("bz_weight_info_args", { args_bytes: "u32", out_bits: "u32", out_bytes: "u64" }),
  measureRead: struct("bz_measure_read_args", {
    args_bytes: "u32", milliseconds: "u32", bytes: "u64", out_bytes: "u64", out_nanoseconds: "u64",
  }),
  measureProducts: struct("bz_measure_products_args", {
    args_bytes: "u32", milliseconds: "u32", dtype: "u32", with_library: "u32", out_products: "u64",
    out_nanoseconds: "u64",
  }),
  kvCache: struct("bz_kv_cache_args", {
    args_bytes: "u32", num_kv_heads: "u32", head_dim: "u32", block_size: "u32", num_blocks: "u32", kv_dtype: "u32",
    out_bytes: "u64",
  }),
  latentCache: struct("bz_latent_cache_args", {
    args_bytes: "u32", rank: "u32", rope_dim: "u32", block_size: "u32", num_blocks: "u32", kv_dtype: "u32",
    out_bytes: "u64",
  }),
} as const

export type StructName = keyof typeof STRUCTS
export type FieldsOf<N extends StructName> = Exclude<keyof (typeof STRUCTS)[N]["fields"], "args_bytes" | "reserved">

/** A matrix in device memory as structs hold it: `cols` values a row, rows `stride` elements apart. */
export interface MatrixValue {
  readonly address: number
  readonly dtype: ElementType
  readonly cols: number
  readonly stride: number
}

/** One tensor of a weight's part, in host memory. */
export interface TensorValue {
  readonly address: number
  readonly bytes: number
  readonly dtype: DType
}

/** What a field of each type is written from. */
interface FieldValues {
  u32: number
  i32: number
  f32: number
  u64: number
  ptr: number
  matrix: MatrixValue
  tensor: TensorValue
}
type ValueOf<N extends StructName, F> = F extends keyof (typeof STRUCTS)[N]["fields"]
  ? (typeof STRUCTS)[N]["fields"][F] extends FieldType ? FieldValues[(typeof STRUCTS)[N]["fields"][F]] : never
  : never

/** Values of a struct's fields; the size and reserved fields are filled in by the writer. Absent fields are 0. */
export type StructValues<N extends StructName> = { readonly [F in FieldsOf<N>]?: ValueOf<N, F> }
