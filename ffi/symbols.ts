import type { FFIFunction } from "bun:ffi"
import { OPS, type OpName } from "./structs.ts"

const textOut = { args: ["ptr", "u32"], returns: "u32" } as const satisfies FFIFunction
const op = { args: ["ptr", "ptr"], returns: "i32" } as const satisfies FFIFunction
const create = { args: ["ptr", "ptr", "ptr"], returns: "i32" } as const satisfies FFIFunction
const one = { args: ["ptr"], returns: "i32" } as const satisfies FFIFunction
const drop = { args: ["ptr"], returns: "void" } as const satisfies FFIFunction

const OP_SYMBOLS = Object.fromEntries(Object.keys(OPS).map((name) => [name, op])) as Record<OpName, typeof op>

/** Every symbol of baozi.h. */
export const SYMBOLS = {
  ...OP_SYMBOLS,
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
  bz_kv_cache_bytes: one,
  bz_latent_cache_bytes: one,
  bz_measure_read: op,
  bz_measure_products: op,
} as const satisfies Record<string, FFIFunction>
