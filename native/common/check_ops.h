// What can be said of an op's args without reading the data they point at: one place for all host libraries, so that
// they refuse alike. Weights, linear and embedding have theirs beside their code.
#pragma once
#include "status.h"

namespace bz {

// Whether matrices other than logits may have this element type, float32 aside. Defined by each library.
bool takes_activation(uint32_t dtype);

// A matrix [rows, cols] of activations or float32.
bz_status check_matrix(const char *op, const char *field, const bz_matrix &m, uint64_t rows, uint64_t cols);
// A float32 matrix [rows, cols] of logits.
bz_status check_logits(const char *op, const char *field, const bz_matrix &m, uint64_t rows, uint64_t cols);

bz_status check_rms_norm(const bz_rms_norm_args *args);
bz_status check_gated_act(const bz_gated_act_args *args);
bz_status check_rope_kv(const bz_rope_kv_args *args);
bz_status check_kv_cache(const bz_kv_cache_args *args);
bz_status check_attention(const bz_attention_args *args);
bz_status check_gather_rows(const bz_gather_rows_args *args);
bz_status check_add(const bz_add_args *args);
bz_status check_softcap(const bz_softcap_args *args);
bz_status check_scatter_ids(const bz_scatter_ids_args *args);
bz_status check_check_finite(const bz_check_finite_args *args);
bz_status check_logits_process(const bz_logits_process_args *args);
bz_status check_sample(const bz_sample_args *args);
bz_status check_logprobs(const bz_logprobs_args *args);

// check_memory.cc
bz_status check_mem_alloc(const bz_stream *stream, const bz_mem_alloc_args *args, void **out);
bz_status check_mem_touch(const bz_mem_touch_args *args);
bz_status check_copy(const char *op, const bz_stream *stream, const bz_copy_args *args); // upload, download, mem_copy
bz_status check_stream_memory(const bz_stream *stream, const bz_stream_memory_args *args);

} // namespace bz
