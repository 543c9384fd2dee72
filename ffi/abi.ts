import type { FFIFunction } from "bun:ffi"

export const ABI_VERSION = 4

/** Status codes of baozi.h. */
export const STATUS = { ok: 0, invalid: 1, unsupported: 2, noMemory: 3, abi: 4, io: 5, device: 6, numeric: 7 } as const

/** enum bz_dtype. */
export const DTYPE = {
  F32: 0, F16: 1, BF16: 2, I32: 3, I8: 4, U8: 5, U32: 6, U64: 7, F8_E4M3: 8,
  Q4_0: 32, Q4_1: 33, Q5_0: 34, Q5_1: 35, Q8_0: 36,
  Q2_K: 40, Q3_K: 41, Q4_K: 42, Q5_K: 43, Q6_K: 44,
  IQ4_NL: 48, IQ4_XS: 49,
} as const
export type DType = keyof typeof DTYPE

/** Bytes of one element; block formats have none. */
export const ELEMENT_BYTES = { F32: 4, F16: 2, BF16: 2, I32: 4, I8: 1, U8: 1, U32: 4, U64: 8, F8_E4M3: 1 } as const
export type ElementType = keyof typeof ELEMENT_BYTES

/** How the tensors of a weight's part mean a matrix; see bz_weight_create. */
export const SCHEME = { plain: 0, gptq: 1, fp8: 2 } as const
export type Scheme = keyof typeof SCHEME

export const COMPUTE = { auto: 0, float32: 1, bfloat16: 2, float16: 3, int8: 4, int4: 5 } as const
export type Compute = keyof typeof COMPUTE

export const ACT = { silu: 0, gelu: 1, gelu_tanh: 2, relu: 3 } as const
export type Act = keyof typeof ACT

export const MEM_KIND = { device: 0, staging: 1 } as const
export const LINEAR_ACCUMULATE = 1
export const LINEAR_FINE = 2
export const LOGPROBS_MODE = { logSoftmax: 0, logits: 1 } as const

const textOut = { args: ["ptr", "u32"], returns: "u32" } as const satisfies FFIFunction
const op = { args: ["ptr", "ptr"], returns: "i32" } as const satisfies FFIFunction
const create = { args: ["ptr", "ptr", "ptr"], returns: "i32" } as const satisfies FFIFunction
const one = { args: ["ptr"], returns: "i32" } as const satisfies FFIFunction
const drop = { args: ["ptr"], returns: "void" } as const satisfies FFIFunction

/** Every symbol of baozi.h. */
export const SYMBOLS = {
  bz_abi_version: { args: [], returns: "u32" },
  bz_backend_score: { args: [], returns: "i32" },
  bz_backend_info: textOut,
  bz_abi_layout: textOut,
  bz_library_traits: one,
  bz_op_supported: { args: ["ptr", "u32"], returns: "i32" },
  bz_last_error: textOut,
  bz_stream_create: { args: ["ptr", "ptr"], returns: "i32" },
  bz_stream_destroy: drop,
  bz_stream_synchronize: one,
  bz_stream_memory: op,
  bz_stream_reserve: { args: ["ptr", "u64"], returns: "i32" },
  bz_event_create: op,
  bz_event_record: op,
  bz_event_synchronize: one,
  bz_event_query: op,
  bz_event_destroy: drop,
  bz_device_memory: op,
  bz_mem_alloc: create,
  bz_mem_free: { args: ["ptr", "ptr"], returns: "void" },
  bz_upload: op,
  bz_download: op,
  bz_mem_copy: op,
  bz_mem_touch: op,
  bz_file_map: one,
  bz_file_release: one,
  bz_file_unmap: one,
  bz_weight_create: create,
  bz_weight_destroy: drop,
  bz_weight_info: op,
  bz_weight_plan: create,
  bz_capture_begin: one,
  bz_capture_end: op,
  bz_graph_launch: op,
  bz_graph_destroy: drop,
  bz_plan_begin: one,
  bz_plan_end: op,
  bz_embedding: op,
  bz_rms_norm: op,
  bz_linear: op,
  bz_gated_act: op,
  bz_rope_kv: op,
  bz_kv_cache_bytes: one,
  bz_attention: op,
  bz_gather_rows: op,
  bz_add: op,
  bz_softcap: op,
  bz_scatter_ids: op,
  bz_check_finite: op,
  bz_logits_process: op,
  bz_sample: op,
  bz_logprobs: op,
  bz_measure_read: op,
  bz_measure_products: op,
} as const satisfies Record<string, FFIFunction>

/** The ops: `(stream, const args *) -> status`, each with the struct it takes. */
export const OPS = {
  bz_embedding: "embedding",
  bz_rms_norm: "rmsNorm",
  bz_linear: "linear",
  bz_gated_act: "gatedAct",
  bz_rope_kv: "ropeKv",
  bz_attention: "attention",
  bz_gather_rows: "gatherRows",
  bz_add: "add",
  bz_softcap: "softcap",
  bz_scatter_ids: "scatterIds",
  bz_check_finite: "checkFinite",
  bz_logits_process: "logitsProcess",
  bz_sample: "sample",
  bz_logprobs: "logprobs",
} as const
export type OpName = keyof typeof OPS
