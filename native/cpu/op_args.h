// What kernels are called with: the args of baozi.h once they have been checked, matrices as float32 pointers and
// strides. ops.cc, linear.cc and embedding.cc make them.
#pragma once
#include <cstdint>

#include "../include/baozi.h"

namespace bz {

struct EmbeddingArgs {
  uint32_t num_tokens;
  float scale;
  const bz_weight *weight;
  const int32_t *ids;
  float *y;
  uint64_t y_stride;
  bz_status *row_status;
};

struct RmsNormArgs {
  uint32_t num_tokens, c;
  float eps, w_offset;
  const float *x, *w;
  float *residual, *y;
  uint64_t x_stride, residual_stride, y_stride;
};

struct LinearArgs {
  uint32_t num_tokens, flags;
  const bz_weight *weight;
  const float *x, *bias;
  float *y;
  uint64_t x_stride, y_stride;
};

struct GatedActArgs {
  uint32_t num_tokens, f, act;
  const float *x;
  float *y;
  uint64_t x_stride, y_stride;
};

struct RopeKvArgs {
  uint32_t num_tokens, num_heads, num_kv_heads, head_dim, rot_dim, num_positions, interleaved, block_size, num_blocks;
  uint32_t kv_dtype;
  float eps;
  float *qkv;
  uint64_t qkv_stride;
  const int32_t *positions, *slots;
  const float *cos_sin, *q_norm, *k_norm;
  void *k_cache, *v_cache;
  bz_status *row_status;
};

struct AttentionArgs {
  uint32_t num_tokens, num_requests, num_heads, num_kv_heads, head_dim, block_size, num_blocks, kv_dtype, window;
  uint32_t causal;
  float scale, softcap;
  uint32_t block_table_stride;
  const float *q;
  float *out;
  uint64_t q_stride, out_stride;
  const int32_t *query_start, *seq_lens, *block_table;
  const void *k_cache, *v_cache;
  const float *sinks;
};

struct GatherRowsArgs {
  uint32_t num_rows, c, num_source_rows;
  const float *x;
  float *y;
  uint64_t x_stride, y_stride;
  const int32_t *rows;
  bz_status *row_status;
};

struct AddArgs {
  uint32_t num_tokens, c;
  float scale;
  const float *x;
  float *y;
  uint64_t x_stride, y_stride;
};

struct SoftcapArgs {
  uint32_t num_tokens, c;
  float cap;
  const float *x;
  float *y;
  uint64_t x_stride, y_stride;
};

struct ScatterIdsArgs {
  uint32_t num_ids, num_src, num_dst;
  const int32_t *src, *src_rows, *dst_rows;
  int32_t *dst;
};

struct CheckFiniteArgs {
  uint32_t num_rows, c;
  const float *x;
  uint64_t x_stride;
  bz_status *row_status;
};

struct CopyArgs {
  uint64_t bytes;
  void *dst;
  const void *src;
};

struct LogitsProcessArgs {
  uint32_t num_requests, vocab_size;
  float *logits;
  uint64_t logits_stride;
  const uint32_t *bitmask;
  const int32_t *bitmask_row, *allow_start, *allow_ids, *edit_start, *edit_ids;
  const float *edit_values;
  const int32_t *token_ids;
  uint64_t token_stride;
  const int32_t *token_row, *num_tokens_of, *num_prompt_of;
  const float *repetition, *frequency, *presence;
  bz_status *row_status;
};

struct SampleArgs {
  uint32_t num_requests, vocab_size;
  const float *logits;
  uint64_t logits_stride;
  const float *temperature, *top_p, *min_p;
  const int32_t *top_k;
  const uint64_t *seeds;
  const int32_t *positions;
  int32_t *out;
  float *out_processed;
  uint64_t processed_stride;
  bz_status *row_status;
};

struct LogprobsArgs {
  uint32_t num_requests, vocab_size, num_top, mode;
  const float *logits;
  uint64_t logits_stride;
  const int32_t *ids;
  float *out_logprob;
  int32_t *out_rank, *out_top_ids;
  float *out_top_logprobs;
};

} // namespace bz
