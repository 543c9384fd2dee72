// The layout of every argument struct as this compiler sees it, for the test that compares it with the other side of
// the FFI. The sizes are stated a second time here: a change of the header that nobody meant does not compile.
#include <cstddef>
#include <cstdio>
#include <string>

#include "status.h"

namespace bz {

struct Layout {
  std::string text;
  void open(const char *name, size_t bytes) { text += std::string(name) + " " + std::to_string(bytes); }
  void field(const char *name, size_t offset, size_t bytes) {
    text += std::string(" ") + name + ":" + std::to_string(offset) + ":" + std::to_string(bytes);
  }
  void close() { text += "\n"; }
};

#define BZ_STRUCT(name, bytes)                                            \
  static_assert(sizeof(name) == bytes, "baozi.h changed: bump its ABI version"); \
  layout.open(#name, sizeof(name));                                       \
  using S = name;
#define F(field_name) layout.field(#field_name, offsetof(S, field_name), sizeof(S::field_name));

static void describe_system_structs(Layout &layout) {
  {
    BZ_STRUCT(bz_matrix, 24)
    F(data) F(dtype) F(cols) F(stride)
    layout.close();
  }
  {
    BZ_STRUCT(bz_traits_args, 40)
    F(args_bytes) F(out_activation_dtype) F(out_is_async) F(out_alignment) F(out_slice_tokens) F(out_logit_rows)
    F(out_max_graphs) F(out_capture_rows) F(out_kv_dtypes) F(out_block_multiple)
    layout.close();
  }
  {
    BZ_STRUCT(bz_stream_args, 24)
    F(args_bytes) F(num_threads) F(isa) F(spin_us) F(reserved)
    layout.close();
  }
  {
    BZ_STRUCT(bz_mem_alloc_args, 16)
    F(args_bytes) F(kind) F(bytes)
    layout.close();
  }
  {
    BZ_STRUCT(bz_copy_args, 32)
    F(args_bytes) F(reserved) F(bytes) F(dst) F(src)
    layout.close();
  }
  {
    BZ_STRUCT(bz_stream_memory_args, 40)
    F(args_bytes) F(reserved) F(out_device_bytes) F(out_staging_bytes) F(out_weight_bytes) F(out_scratch_bytes)
    layout.close();
  }
  {
    BZ_STRUCT(bz_device_memory_args, 24)
    F(args_bytes) F(reserved) F(out_total_bytes) F(out_free_bytes)
    layout.close();
  }
  {
    BZ_STRUCT(bz_mem_touch_args, 24)
    F(args_bytes) F(reserved) F(bytes) F(data)
    layout.close();
  }
  {
    BZ_STRUCT(bz_file_map_args, 32)
    F(args_bytes) F(reserved) F(path) F(out_data) F(out_bytes)
    layout.close();
  }
  {
    BZ_STRUCT(bz_file_range_args, 24)
    F(args_bytes) F(reserved) F(data) F(bytes)
    layout.close();
  }
  {
    BZ_STRUCT(bz_weight_tensor, 24)
    F(data) F(bytes) F(dtype) F(reserved)
    layout.close();
  }
  {
    BZ_STRUCT(bz_weight_part, 112)
    F(n) F(scheme) F(group_rows) F(group_cols) F(values) F(scales) F(zeros) F(group_index)
    layout.close();
  }
  {
    BZ_STRUCT(bz_weight_args, 32)
    F(args_bytes) F(num_parts) F(n) F(c) F(num_experts) F(compute) F(parts)
    layout.close();
  }
  {
    BZ_STRUCT(bz_weight_info_args, 16)
    F(args_bytes) F(out_bits) F(out_bytes)
    layout.close();
  }
  {
    BZ_STRUCT(bz_plan_args, 16)
    F(args_bytes) F(reserved) F(out_scratch_bytes)
    layout.close();
  }
  {
    BZ_STRUCT(bz_measure_read_args, 32)
    F(args_bytes) F(milliseconds) F(bytes) F(out_bytes) F(out_nanoseconds)
    layout.close();
  }
  {
    BZ_STRUCT(bz_measure_products_args, 32)
    F(args_bytes) F(milliseconds) F(dtype) F(with_library) F(out_products) F(out_nanoseconds)
    layout.close();
  }
}

static void describe_model_structs(Layout &layout) {
  {
    BZ_STRUCT(bz_embedding_args, 64)
    F(args_bytes) F(num_tokens) F(scale) F(reserved) F(weight) F(ids) F(y) F(row_status)
    layout.close();
  }
  {
    BZ_STRUCT(bz_rms_norm_args, 96)
    F(args_bytes) F(num_tokens) F(eps) F(w_offset) F(x) F(residual) F(y) F(w)
    layout.close();
  }
  {
    BZ_STRUCT(bz_linear_args, 80)
    F(args_bytes) F(num_tokens) F(flags) F(reserved) F(weight) F(bias) F(x) F(y)
    layout.close();
  }
  {
    BZ_STRUCT(bz_gated_act_args, 64)
    F(args_bytes) F(num_tokens) F(act) F(reserved) F(x) F(y)
    layout.close();
  }
  {
    BZ_STRUCT(bz_rope_kv_args, 136)
    F(args_bytes) F(num_tokens) F(num_heads) F(num_kv_heads) F(head_dim) F(rot_dim) F(num_positions) F(interleaved)
    F(block_size) F(num_blocks) F(kv_dtype) F(eps) F(qkv) F(positions) F(slots) F(cos_sin) F(q_norm) F(k_norm)
    F(k_cache) F(v_cache) F(row_status)
    layout.close();
  }
  {
    BZ_STRUCT(bz_kv_cache_args, 32)
    F(args_bytes) F(num_kv_heads) F(head_dim) F(block_size) F(num_blocks) F(kv_dtype) F(out_bytes)
    layout.close();
  }
  {
    BZ_STRUCT(bz_attention_args, 152)
    F(args_bytes) F(num_tokens) F(num_requests) F(num_heads) F(num_kv_heads) F(head_dim) F(block_size) F(num_blocks)
    F(kv_dtype) F(window) F(causal) F(scale) F(softcap) F(block_table_stride) F(q) F(out) F(query_start) F(seq_lens)
    F(block_table) F(k_cache) F(v_cache) F(sinks)
    layout.close();
  }
  {
    BZ_STRUCT(bz_gather_rows_args, 80)
    F(args_bytes) F(num_rows) F(num_source_rows) F(reserved) F(x) F(y) F(rows) F(row_status)
    layout.close();
  }
  {
    BZ_STRUCT(bz_add_args, 64)
    F(args_bytes) F(num_tokens) F(scale) F(reserved) F(x) F(y)
    layout.close();
  }
  {
    BZ_STRUCT(bz_softcap_args, 64)
    F(args_bytes) F(num_tokens) F(cap) F(reserved) F(x) F(y)
    layout.close();
  }
  {
    BZ_STRUCT(bz_scatter_ids_args, 48)
    F(args_bytes) F(num_ids) F(num_src) F(num_dst) F(src) F(src_rows) F(dst_rows) F(dst)
    layout.close();
  }
  {
    BZ_STRUCT(bz_check_finite_args, 40)
    F(args_bytes) F(num_rows) F(x) F(row_status)
    layout.close();
  }
}

static void describe_sampling_structs(Layout &layout) {
  {
    BZ_STRUCT(bz_logits_process_args, 160)
    F(args_bytes) F(num_requests) F(logits) F(bitmask) F(bitmask_row) F(allow_start) F(allow_ids) F(edit_start)
    F(edit_ids) F(edit_values) F(token_ids) F(token_stride) F(token_row) F(num_tokens_of) F(num_prompt_of)
    F(repetition) F(frequency) F(presence) F(row_status)
    layout.close();
  }
  {
    BZ_STRUCT(bz_sample_args, 120)
    F(args_bytes) F(num_requests) F(logits) F(temperature) F(top_p) F(min_p) F(top_k) F(seeds) F(positions) F(out)
    F(out_processed) F(row_status)
    layout.close();
  }
  {
    BZ_STRUCT(bz_logprobs_args, 80)
    F(args_bytes) F(num_requests) F(num_top) F(mode) F(logits) F(ids) F(out_logprob) F(out_rank) F(out_top_ids)
    F(out_top_logprobs)
    layout.close();
  }
}

#undef F
#undef BZ_STRUCT

} // namespace bz

extern "C" uint32_t bz_abi_layout(char *buf, uint32_t cap) {
  bz::Layout layout;
  bz::describe_system_structs(layout);
  bz::describe_model_structs(layout);
  bz::describe_sampling_structs(layout);
  return bz::copy_text(layout.text.data(), layout.text.size(), buf, cap);
}
