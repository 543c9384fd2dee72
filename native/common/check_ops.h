// What can be said of an op's args without reading the data they point at: one place for all host libraries, so that
// they refuse alike. Ops that take a weight: weight_args.h.
#pragma once
#include "ops.h"
#include "status.h"

namespace bz {

// Whether matrices other than logits may have this element type, float32 aside. Defined by each library.
bool takes_activation(uint32_t dtype);

// A matrix [rows, cols] of activations or float32.
bz_status check_matrix(const char *op, const char *field, const bz_matrix &m, uint64_t rows, uint64_t cols);
// A float32 matrix [rows, cols] of logits.
bz_status check_logits(const char *op, const char *field, const bz_matrix &m, uint64_t rows, uint64_t cols);

// check_OP(args) of each op that takes no weight. A check looks at no rows when there are none.
#define BZ_DECLARE(op, count) bz_status check_##op(const bz_##op##_args *args);
BZ_MATRIX_OPS(BZ_DECLARE)
#undef BZ_DECLARE
// What is alike for every paged cache.
bz_status check_cache_blocks(const char *op, uint32_t block_size, uint32_t num_blocks, uint32_t kv_dtype);
bz_status check_kv_cache(const bz_kv_cache_args *args);
bz_status check_latent_cache(const bz_latent_cache_args *args); // check_latent.cc

// check_memory.cc
bz_status check_mem_alloc(const bz_stream *stream, const bz_mem_alloc_args *args, void **out);
bz_status check_mem_touch(const bz_mem_touch_args *args);
bz_status check_copy(const char *op, const bz_stream *stream, const bz_copy_args *args); // upload, download, mem_copy
bz_status check_stream_memory(const bz_stream *stream, const bz_stream_memory_args *args);

} // namespace bz
