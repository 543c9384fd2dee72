#include "check_ops.h"

#include <cmath>

#include "dtype.h"
#include "require.h"

namespace bz {

static bz_status check_shape(const char *op, const char *field, const bz_matrix &m, uint64_t rows, uint64_t cols) {
  using ull = unsigned long long;
  REQUIRE(m.data != nullptr, "%s: %s.data is NULL", op, field);
  REQUIRE(m.cols == cols, "%s: %s.cols is %u, must be %llu", op, field, m.cols, ull{cols});
  REQUIRE(m.stride >= cols || rows == 1, "%s: %s.stride is %llu, rows have %llu values", op, field, ull{m.stride},
          ull{cols});
  return BZ_OK;
}

bz_status check_matrix(const char *op, const char *field, const bz_matrix &m, uint64_t rows, uint64_t cols) {
  REQUIRE(m.dtype == BZ_F32 || takes_activation(m.dtype),
          "%s: %s.dtype is %s, which this library does not compute in", op, field, dtype_name(m.dtype));
  return check_shape(op, field, m, rows, cols);
}

bz_status check_logits(const char *op, const char *field, const bz_matrix &m, uint64_t rows, uint64_t cols) {
  REQUIRE(m.dtype == BZ_F32, "%s: %s.dtype is %s, must be f32", op, field, dtype_name(m.dtype));
  return check_shape(op, field, m, rows, cols);
}

bz_status check_rms_norm(const bz_rms_norm_args *args) {
  BZ_CHECK_ARGS("rms_norm", args);
  REQUIRE_COUNT("rms_norm", num_tokens);
  REQUIRE(args->eps >= 0, "rms_norm: eps is %g, must be >= 0", args->eps);
  if (args->num_tokens == 0) return BZ_OK;
  REQUIRE_COLS("rms_norm", x);
  TRY_MATRIX("rms_norm", x, args->num_tokens, args->x.cols);
  TRY_MATRIX("rms_norm", y, args->num_tokens, args->x.cols);
  if (args->residual.data != nullptr) TRY_MATRIX("rms_norm", residual, args->num_tokens, args->x.cols);
  REQUIRE_POINTER("rms_norm", w);
  return BZ_OK;
}

bz_status check_gated_act(const bz_gated_act_args *args) {
  BZ_CHECK_ARGS("gated_act", args);
  REQUIRE_ZERO("gated_act", reserved);
  REQUIRE_COUNT("gated_act", num_tokens);
  REQUIRE(args->act <= BZ_ACT_RELU, "gated_act: unknown act %u", args->act);
  if (args->num_tokens == 0) return BZ_OK;
  REQUIRE_COLS("gated_act", y);
  TRY_MATRIX("gated_act", x, args->num_tokens, 2 * uint64_t{args->y.cols});
  TRY_MATRIX("gated_act", y, args->num_tokens, args->y.cols);
  REQUIRE(args->y.data != args->x.data || args->num_tokens == 1 || args->y.stride == args->x.stride,
          "gated_act: in place, but y.stride differs from x.stride");
  return BZ_OK;
}

bz_status check_cache_blocks(const char *op, uint32_t block_size, uint32_t num_blocks, uint32_t kv_dtype) {
  BZ_REQUIRE(kv_dtype == BZ_F32 || kv_dtype == BZ_BF16, BZ_ENOSYS, "%s: kv_dtype is %s, f32 and bf16 are supported", op,
             dtype_name(kv_dtype));
  REQUIRE(block_size > 0 && block_size <= 65536 && block_size % 16 == 0,
          "%s: block_size is %u, must be a multiple of 16 in [16, 65536]", op, block_size);
  // Slots are int32.
  REQUIRE(uint64_t{num_blocks} * block_size <= INT32_MAX, "%s: num_blocks %u times block_size %u passes 2^31 slots", op,
          num_blocks, block_size);
  return BZ_OK;
}

static bz_status check_cache_shape(const char *op, uint32_t num_kv_heads, uint32_t head_dim, uint32_t block_size,
                                   uint32_t num_blocks, uint32_t kv_dtype) {
  BZ_TRY(check_cache_blocks(op, block_size, num_blocks, kv_dtype));
  REQUIRE(num_kv_heads > 0 && num_kv_heads <= 65536, "%s: num_kv_heads is %u, must be in [1, 65536]", op, num_kv_heads);
  REQUIRE(head_dim >= 8 && head_dim <= 256 && head_dim % 8 == 0,
          "%s: head_dim is %u, must be a multiple of 8 in [8, 256]", op, head_dim);
  return BZ_OK;
}

bz_status check_kv_cache(const bz_kv_cache_args *args) {
  BZ_CHECK_ARGS("kv_cache_bytes", args);
  return check_cache_shape("kv_cache_bytes", args->num_kv_heads, args->head_dim, args->block_size, args->num_blocks,
                           args->kv_dtype);
}

bz_status check_rope_kv(const bz_rope_kv_args *args) {
  BZ_CHECK_ARGS("rope_kv", args);
  REQUIRE_COUNT("rope_kv", num_tokens);
  REQUIRE_COUNT("rope_kv", num_positions);
  REQUIRE(args->num_heads <= 65536, "rope_kv: num_heads is %u, the limit is 65536", args->num_heads);
  BZ_TRY(check_cache_shape("rope_kv", args->num_kv_heads, args->head_dim, args->block_size, args->num_blocks,
                           args->kv_dtype));
  REQUIRE(args->rot_dim % 2 == 0 && args->rot_dim <= args->head_dim,
          "rope_kv: rot_dim is %u, must be even and at most head_dim %u", args->rot_dim, args->head_dim);
  REQUIRE(args->interleaved <= 1, "rope_kv: interleaved is %u, must be 0 or 1", args->interleaved);
  REQUIRE(args->eps >= 0, "rope_kv: eps is %g, must be >= 0", args->eps);
  REQUIRE((args->k_cache == nullptr) == (args->v_cache == nullptr),
          "rope_kv: only one of k_cache and v_cache is given");
  if (args->num_tokens == 0) return BZ_OK;
  const uint64_t width = (uint64_t{args->num_heads} + 2 * uint64_t{args->num_kv_heads}) * args->head_dim;
  TRY_MATRIX("rope_kv", qkv, args->num_tokens, width);
  if (args->cos_sin != nullptr) REQUIRE_POINTER("rope_kv", positions);
  if (args->k_cache != nullptr) REQUIRE_POINTER("rope_kv", slots);
  return BZ_OK;
}

bz_status check_attention(const bz_attention_args *args) {
  BZ_CHECK_ARGS("attention", args);
  REQUIRE_COUNT("attention", num_tokens);
  REQUIRE_COUNT("attention", num_requests);
  BZ_TRY(check_cache_shape("attention", args->num_kv_heads, args->head_dim, args->block_size, args->num_blocks,
                           args->kv_dtype));
  REQUIRE(args->num_heads > 0 && args->num_heads <= 65536 && args->num_heads % args->num_kv_heads == 0,
          "attention: num_heads is %u, must be a multiple of num_kv_heads %u", args->num_heads, args->num_kv_heads);
  REQUIRE(args->causal <= 1, "attention: causal is %u, must be 0 or 1", args->causal);
  REQUIRE(args->causal == 1 || args->window == 0, "attention: a window needs causal");
  REQUIRE(args->softcap >= 0, "attention: softcap is %g, must be >= 0", args->softcap);
  REQUIRE(std::isfinite(args->scale), "attention: scale is not finite");
  if (args->num_tokens == 0 || args->num_requests == 0) return BZ_OK;
  const uint64_t width = uint64_t{args->num_heads} * args->head_dim;
  TRY_MATRIX("attention", q, args->num_tokens, width);
  TRY_MATRIX("attention", out, args->num_tokens, width);
  REQUIRE(args->out.data != args->q.data || args->num_tokens == 1 || args->out.stride == args->q.stride,
          "attention: in place, but out.stride differs from q.stride");
  REQUIRE_POINTER("attention", query_start);
  REQUIRE_POINTER("attention", seq_lens);
  REQUIRE_POINTER("attention", block_table);
  REQUIRE_POINTER("attention", k_cache);
  REQUIRE_POINTER("attention", v_cache);
  return BZ_OK;
}

bz_status check_gather_rows(const bz_gather_rows_args *args) {
  BZ_CHECK_ARGS("gather_rows", args);
  REQUIRE_ZERO("gather_rows", reserved);
  REQUIRE_COUNT("gather_rows", num_rows);
  REQUIRE_COUNT("gather_rows", num_source_rows);
  if (args->num_rows == 0) return BZ_OK;
  REQUIRE_COLS("gather_rows", y);
  TRY_MATRIX("gather_rows", x, args->num_source_rows, args->y.cols);
  TRY_MATRIX("gather_rows", y, args->num_rows, args->y.cols);
  REQUIRE_POINTER("gather_rows", rows);
  return BZ_OK;
}

bz_status check_add(const bz_add_args *args) {
  BZ_CHECK_ARGS("add", args);
  REQUIRE_ZERO("add", reserved);
  REQUIRE_COUNT("add", num_tokens);
  if (args->num_tokens == 0) return BZ_OK;
  REQUIRE_COLS("add", y);
  TRY_MATRIX("add", x, args->num_tokens, args->y.cols);
  TRY_MATRIX("add", y, args->num_tokens, args->y.cols);
  return BZ_OK;
}

bz_status check_softcap(const bz_softcap_args *args) {
  BZ_CHECK_ARGS("softcap", args);
  REQUIRE_ZERO("softcap", reserved);
  REQUIRE_COUNT("softcap", num_tokens);
  REQUIRE(std::isfinite(args->cap) && args->cap > 0, "softcap: cap is %g, must be finite and > 0", args->cap);
  if (args->num_tokens == 0) return BZ_OK;
  REQUIRE_COLS("softcap", y);
  TRY_MATRIX("softcap", x, args->num_tokens, args->y.cols);
  TRY_MATRIX("softcap", y, args->num_tokens, args->y.cols);
  return BZ_OK;
}

bz_status check_scatter_ids(const bz_scatter_ids_args *args) {
  BZ_CHECK_ARGS("scatter_ids", args);
  REQUIRE_COUNT("scatter_ids", num_ids);
  REQUIRE_COUNT("scatter_ids", num_src);
  REQUIRE_COUNT("scatter_ids", num_dst);
  if (args->num_ids == 0) return BZ_OK;
  REQUIRE_POINTER("scatter_ids", src);
  REQUIRE_POINTER("scatter_ids", src_rows);
  REQUIRE_POINTER("scatter_ids", dst_rows);
  REQUIRE_POINTER("scatter_ids", dst);
  return BZ_OK;
}

bz_status check_check_finite(const bz_check_finite_args *args) {
  BZ_CHECK_ARGS("check_finite", args);
  REQUIRE_COUNT("check_finite", num_rows);
  if (args->num_rows == 0) return BZ_OK;
  REQUIRE_COLS("check_finite", x);
  TRY_MATRIX("check_finite", x, args->num_rows, args->x.cols);
  REQUIRE_POINTER("check_finite", row_status);
  return BZ_OK;
}

bz_status check_logits_process(const bz_logits_process_args *args) {
  BZ_CHECK_ARGS("logits_process", args);
  REQUIRE_COUNT("logits_process", num_requests);
  if (args->num_requests == 0) return BZ_OK;
  REQUIRE_COLS("logits_process", logits);
  TRY_LOGITS("logits_process", logits, args->num_requests, args->logits.cols);
  REQUIRE((args->bitmask == nullptr) == (args->bitmask_row == nullptr),
          "logits_process: only one of bitmask and bitmask_row is given");
  REQUIRE((args->allow_start == nullptr) == (args->allow_ids == nullptr),
          "logits_process: only one of allow_start and allow_ids is given");
  const int edits = (args->edit_start != nullptr) + (args->edit_ids != nullptr) + (args->edit_values != nullptr);
  REQUIRE(edits == 0 || edits == 3, "logits_process: only some of edit_start, edit_ids and edit_values are given");
  const bool penalties = args->repetition != nullptr || args->frequency != nullptr || args->presence != nullptr;
  REQUIRE(!penalties || args->token_ids == nullptr ||
              (args->token_row != nullptr && args->num_tokens_of != nullptr && args->num_prompt_of != nullptr),
          "logits_process: token_ids needs token_row, num_tokens_of and num_prompt_of");
  return BZ_OK;
}

bz_status check_sample(const bz_sample_args *args) {
  BZ_CHECK_ARGS("sample", args);
  REQUIRE_COUNT("sample", num_requests);
  if (args->num_requests == 0) return BZ_OK;
  REQUIRE_COLS("sample", logits);
  TRY_LOGITS("sample", logits, args->num_requests, args->logits.cols);
  if (args->out_processed.data != nullptr)
    TRY_LOGITS("sample", out_processed, args->num_requests, args->logits.cols);
  REQUIRE_POINTER("sample", temperature);
  REQUIRE_POINTER("sample", top_p);
  REQUIRE_POINTER("sample", min_p);
  REQUIRE_POINTER("sample", top_k);
  REQUIRE_POINTER("sample", seeds);
  REQUIRE_POINTER("sample", positions);
  REQUIRE_POINTER("sample", out);
  return BZ_OK;
}

bz_status check_logprobs(const bz_logprobs_args *args) {
  BZ_CHECK_ARGS("logprobs", args);
  REQUIRE_COUNT("logprobs", num_requests);
  REQUIRE(args->mode <= BZ_LOGPROBS_LOGITS, "logprobs: unknown mode %u", args->mode);
  if (args->num_requests == 0) return BZ_OK;
  REQUIRE_COLS("logprobs", logits);
  TRY_LOGITS("logprobs", logits, args->num_requests, args->logits.cols);
  REQUIRE(args->num_top <= args->logits.cols, "logprobs: num_top is %u, rows have %u logits", args->num_top,
          args->logits.cols);
  REQUIRE_POINTER("logprobs", ids);
  REQUIRE_POINTER("logprobs", out_logprob);
  REQUIRE_POINTER("logprobs", out_rank);
  if (args->num_top > 0) {
    REQUIRE_POINTER("logprobs", out_top_ids);
    REQUIRE_POINTER("logprobs", out_top_logprobs);
  }
  return BZ_OK;
}

} // namespace bz
