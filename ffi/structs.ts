/**
 * The argument structs of baozi.h, stated a second time: a test compares this table with the library's own
 * `bz_abi_layout()`, so that neither side can drift alone.
 *
 * Fields are listed in order with their C types; offsets follow the C rules (natural alignment, no packing).
 */
export type FieldType = "u32" | "i32" | "f32" | "u64" | "ptr"
export type FieldTable = Readonly<Record<string, FieldType>>

const FIELD_BYTES: Record<FieldType, number> = { u32: 4, i32: 4, f32: 4, u64: 8, ptr: 8 }

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
    const size = FIELD_BYTES[type]
    align = Math.max(align, size)
    end = Math.ceil(end / size) * size
    offsets[field] = end
    end += size
  }
  return { name, fields, offsets: offsets as Record<keyof F, number>, bytes: Math.ceil(end / align) * align }
}

/** `bz_abi_layout()`'s form of one struct. */
export function describeLayout(layout: StructLayout): string {
  const fields = Object.entries(layout.fields)
    .map(([field, type]) => `${field}:${layout.offsets[field]}:${FIELD_BYTES[type]}`)
  return `${layout.name} ${layout.bytes} ${fields.join(" ")}`
}

export const STRUCTS = {
  stream: struct("bz_stream_args", {
    args_bytes: "u32", num_threads: "u32", isa: "ptr", spin_us: "u32", reserved: "u32",
  }),
  memAlloc: struct("bz_mem_alloc_args", { args_bytes: "u32", kind: "u32", bytes: "u64" }),
  memCopy: struct("bz_mem_copy_args", { args_bytes: "u32", reserved: "u32", bytes: "u64", dst: "ptr", src: "ptr" }),
  memTouch: struct("bz_mem_touch_args", { args_bytes: "u32", reserved: "u32", bytes: "u64", data: "ptr" }),
  fileMap: struct("bz_file_map_args", {
    args_bytes: "u32", reserved: "u32", path: "ptr", out_data: "ptr", out_bytes: "u64",
  }),
  fileRange: struct("bz_file_range_args", { args_bytes: "u32", reserved: "u32", data: "ptr", bytes: "u64" }),
  weightPart: struct("bz_weight_part", { data: "ptr", bytes: "u64", n: "u32", dtype: "u32" }),
  weight: struct("bz_weight_args", {
    args_bytes: "u32", num_parts: "u32", n: "u32", c: "u32", compute: "u32", reserved: "u32", parts: "ptr",
  }),
  weightInfo: struct("bz_weight_info_args", { args_bytes: "u32", out_bits: "u32", out_bytes: "u64" }),
  measureRead: struct("bz_measure_read_args", {
    args_bytes: "u32", milliseconds: "u32", bytes: "u64", out_bytes: "u64", out_nanoseconds: "u64",
  }),
  measureProducts: struct("bz_measure_products_args", {
    args_bytes: "u32", milliseconds: "u32", dtype: "u32", with_library: "u32", out_products: "u64",
    out_nanoseconds: "u64",
  }),
  embedding: struct("bz_embedding_args", {
    args_bytes: "u32", num_tokens: "u32", weight: "ptr", ids: "ptr", y: "ptr", y_stride: "u64", scale: "f32",
    reserved: "u32",
  }),
  rmsNorm: struct("bz_rms_norm_args", {
    args_bytes: "u32", num_tokens: "u32", c: "u32", eps: "f32", x: "ptr", w: "ptr", residual: "ptr", y: "ptr",
    x_stride: "u64", residual_stride: "u64", y_stride: "u64", w_offset: "f32", reserved: "u32",
  }),
  linear: struct("bz_linear_args", {
    args_bytes: "u32", num_tokens: "u32", flags: "u32", reserved: "u32", weight: "ptr", x: "ptr", bias: "ptr",
    y: "ptr", x_stride: "u64", y_stride: "u64",
  }),
  gatedAct: struct("bz_gated_act_args", {
    args_bytes: "u32", num_tokens: "u32", f: "u32", act: "u32", x: "ptr", y: "ptr", x_stride: "u64", y_stride: "u64",
  }),
  ropeKv: struct("bz_rope_kv_args", {
    args_bytes: "u32", num_tokens: "u32", num_heads: "u32", num_kv_heads: "u32", head_dim: "u32", rot_dim: "u32",
    num_positions: "u32", interleaved: "u32", block_size: "u32", num_blocks: "u32", kv_dtype: "u32", eps: "f32",
    qkv: "ptr", qkv_stride: "u64", positions: "ptr", slots: "ptr", cos_sin: "ptr", q_norm: "ptr", k_norm: "ptr",
    k_cache: "ptr", v_cache: "ptr",
  }),
  kvCache: struct("bz_kv_cache_args", {
    args_bytes: "u32", num_kv_heads: "u32", head_dim: "u32", block_size: "u32", num_blocks: "u32", kv_dtype: "u32",
    out_bytes: "u64",
  }),
  attention: struct("bz_attention_args", {
    args_bytes: "u32", num_tokens: "u32", num_requests: "u32", num_heads: "u32", num_kv_heads: "u32", head_dim: "u32",
    block_size: "u32", num_blocks: "u32", kv_dtype: "u32", window: "u32", causal: "u32", scale: "f32",
    softcap: "f32", block_table_stride: "u32", q: "ptr", out: "ptr", q_stride: "u64", out_stride: "u64",
    query_start: "ptr", seq_lens: "ptr", block_table: "ptr", k_cache: "ptr", v_cache: "ptr", sinks: "ptr",
  }),
  gatherRows: struct("bz_gather_rows_args", {
    args_bytes: "u32", num_rows: "u32", c: "u32", num_source_rows: "u32", x: "ptr", y: "ptr", x_stride: "u64",
    y_stride: "u64", rows: "ptr",
  }),
  add: struct("bz_add_args", {
    args_bytes: "u32", num_tokens: "u32", c: "u32", scale: "f32", x: "ptr", y: "ptr", x_stride: "u64", y_stride: "u64",
  }),
  logitsProcess: struct("bz_logits_process_args", {
    args_bytes: "u32", num_requests: "u32", vocab_size: "u32", reserved: "u32", logits: "ptr", logits_stride: "u64",
    bitmask: "ptr", bitmask_row: "ptr", allow_start: "ptr", allow_ids: "ptr", edit_start: "ptr", edit_ids: "ptr",
    edit_values: "ptr", token_ids: "ptr", token_stride: "u64", token_row: "ptr", num_tokens_of: "ptr",
    num_prompt_of: "ptr", repetition: "ptr", frequency: "ptr", presence: "ptr", row_status: "ptr",
  }),
  sample: struct("bz_sample_args", {
    args_bytes: "u32", num_requests: "u32", vocab_size: "u32", reserved: "u32", logits: "ptr", logits_stride: "u64",
    temperature: "ptr", top_p: "ptr", min_p: "ptr", top_k: "ptr", seeds: "ptr", positions: "ptr", out: "ptr",
    out_processed: "ptr", processed_stride: "u64", row_status: "ptr",
  }),
  logprobs: struct("bz_logprobs_args", {
    args_bytes: "u32", num_requests: "u32", vocab_size: "u32", num_top: "u32", mode: "u32", reserved: "u32",
    logits: "ptr", logits_stride: "u64", ids: "ptr", out_logprob: "ptr", out_rank: "ptr", out_top_ids: "ptr",
    out_top_logprobs: "ptr",
  }),
} as const

export type StructName = keyof typeof STRUCTS
export type FieldsOf<N extends StructName> = Exclude<keyof (typeof STRUCTS)[N]["fields"], "args_bytes" | "reserved">
/** Values of a struct's fields; the size and reserved fields are filled in by the writer. Absent pointers are NULL. */
export type StructValues<N extends StructName> = Partial<Record<FieldsOf<N>, number>>
