#include "check_ops.h"

#include <cmath>

#include "dtype.h"
#include "grown_args.h"

namespace bz {

#define REQUIRE(condition, ...) BZ_REQUIRE(condition, BZ_EINVAL, __VA_ARGS__)
#define REQUIRE_POINTER(op, field) REQUIRE(args->field != nullptr, op ": " #field " is NULL")
#define REQUIRE_STRIDE(op, field, least)                                                             \
  REQUIRE(args->field >= (least), op ": " #field " is %llu, rows have %llu values",                  \
          static_cast<unsigned long long>(args->field), static_cast<unsigned long long>(least))
#define REQUIRE_ZERO(op, field) REQUIRE(args->field == 0, op ": " #field " is %u, must be 0", args->field)

// Element offsets are 64 bit everywhere, but a count this large is a mistake, and none of our loops has to think of it.
constexpr uint32_t MAX_COUNT = 1u << 30;
#define REQUIRE_COUNT(op, field) \
  REQUIRE(args->field <= MAX_COUNT, op ": " #field " is %u, the limit is %u", args->field, MAX_COUNT)

bz_status check_rms_norm(const bz_rms_norm_args *args) {
  BZ_CHECK_ARGS("rms_norm", args);
  REQUIRE_ZERO("rms_norm", reserved);
  REQUIRE_COUNT("rms_norm", num_tokens);
  REQUIRE_COUNT("rms_norm", c);
  REQUIRE(args->c > 0, "rms_norm: c is 0");
  REQUIRE(args->eps >= 0, "rms_norm: eps is %g, must be >= 0", args->eps);
  if (args->num_tokens == 0) return BZ_OK;
  REQUIRE_POINTER("rms_norm", x);
  REQUIRE_POINTER("rms_norm", w);
  REQUIRE_POINTER("rms_norm", y);
  if (args->num_tokens == 1) return BZ_OK;
  REQUIRE_STRIDE("rms_norm", x_stride, uint64_t{args->c});
  REQUIRE_STRIDE("rms_norm", y_stride, uint64_t{args->c});
  if (args->residual != nullptr) REQUIRE_STRIDE("rms_norm", residual_stride, uint64_t{args->c});
  return BZ_OK;
}

bz_status check_gated_act(const bz_gated_act_args *args) {
  BZ_CHECK_ARGS("gated_act", args);
  REQUIRE_COUNT("gated_act", num_tokens);
  REQUIRE_COUNT("gated_act", f);
  REQUIRE(args->f > 0, "gated_act: f is 0");
  REQUIRE(args->act <= BZ_ACT_RELU, "gated_act: unknown act %u", args->act);
  if (args->num_tokens == 0) return BZ_OK;
  REQUIRE_POINTER("gated_act", x);
  REQUIRE_POINTER("gated_act", y);
  REQUIRE(args->y != args->x || args->num_tokens == 1 || args->y_stride == args->x_stride,
          "gated_act: in place, but y_stride differs from x_stride");
  if (args->num_tokens == 1) return BZ_OK;
  REQUIRE_STRIDE("gated_act", x_stride, 2 * uint64_t{args->f});
  REQUIRE_STRIDE("gated_act", y_stride, uint64_t{args->f});
  return BZ_OK;
}

static bz_status check_cache_shape(const char *op, uint32_t num_kv_heads, uint32_t head_dim, uint32_t block_size,
                                   uint32_t num_blocks, uint32_t kv_dtype) {
  BZ_REQUIRE(kv_dtype == BZ_F32 || kv_dtype == BZ_BF16, BZ_ENOSYS, "%s: kv_dtype is %s, f32 and bf16 are supported", op,
             dtype_name(kv_dtype));
  REQUIRE(num_kv_heads > 0 && num_kv_heads <= 65536, "%s: num_kv_heads is %u, must be in [1, 65536]", op, num_kv_heads);
  REQUIRE(head_dim >= 8 && head_dim <= 256 && head_dim % 8 == 0,
          "%s: head_dim is %u, must be a multiple of 8 in [8, 256]", op, head_dim);
  REQUIRE(block_size > 0 && block_size <= 65536 && block_size % 16 == 0,
          "%s: block_size is %u, must be a multiple of 16 in [16, 65536]", op, block_size);
  // Slots are int32.
  REQUIRE(uint64_t{num_blocks} * block_size <= INT32_MAX, "%s: num_blocks %u times block_size %u passes 2^31 slots", op,
          num_blocks, block_size);
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
  REQUIRE_POINTER("rope_kv", qkv);
  if (args->cos_sin != nullptr) REQUIRE_POINTER("rope_kv", positions);
  if (args->k_cache != nullptr) REQUIRE_POINTER("rope_kv", slots);
  if (args->num_tokens == 1) return BZ_OK;
  const uint64_t width = (uint64_t{args->num_heads} + 2 * uint64_t{args->num_kv_heads}) * args->head_dim;
  REQUIRE_STRIDE("rope_kv", qkv_stride, width);
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
  REQUIRE_POINTER("attention", q);
  REQUIRE_POINTER("attention", out);
  REQUIRE_POINTER("attention", query_start);
  REQUIRE_POINTER("attention", seq_lens);
  REQUIRE_POINTER("attention", block_table);
  REQUIRE_POINTER("attention", k_cache);
  REQUIRE_POINTER("attention", v_cache);
  REQUIRE(args->out != args->q || args->num_tokens == 1 || args->out_stride == args->q_stride,
          "attention: in place, but out_stride differs from q_stride");
  if (args->num_tokens == 1) return BZ_OK;
  REQUIRE_STRIDE("attention", q_stride, uint64_t{args->num_heads} * args->head_dim);
  REQUIRE_STRIDE("attention", out_stride, uint64_t{args->num_heads} * args->head_dim);
  return BZ_OK;
}

bz_status check_gather_rows(const bz_gather_rows_args *args) {
  BZ_CHECK_ARGS("gather_rows", args);
  REQUIRE_COUNT("gather_rows", num_rows);
  REQUIRE_COUNT("gather_rows", c);
  if (args->num_rows == 0 || args->c == 0) return BZ_OK;
  REQUIRE_POINTER("gather_rows", x);
  REQUIRE_POINTER("gather_rows", y);
  REQUIRE_POINTER("gather_rows", rows);
  if (args->num_source_rows > 1) REQUIRE_STRIDE("gather_rows", x_stride, uint64_t{args->c});
  if (args->num_rows > 1) REQUIRE_STRIDE("gather_rows", y_stride, uint64_t{args->c});
  return BZ_OK;
}

bz_status check_add(const bz_add_args *args) {
  BZ_CHECK_ARGS("add", args);
  REQUIRE_COUNT("add", num_tokens);
  REQUIRE_COUNT("add", c);
  if (args->num_tokens == 0 || args->c == 0) return BZ_OK;
  REQUIRE_POINTER("add", x);
  REQUIRE_POINTER("add", y);
  if (args->num_tokens == 1) return BZ_OK;
  REQUIRE_STRIDE("add", x_stride, uint64_t{args->c});
  REQUIRE_STRIDE("add", y_stride, uint64_t{args->c});
  return BZ_OK;
}

bz_status check_logits_process(const bz_logits_process_args *given, bz_logits_process_args *args) {
  BZ_TRY(take_args("logits_process", given, offsetof(bz_logits_process_args, row_status), args));
  REQUIRE_ZERO("logits_process", reserved);
  REQUIRE_COUNT("logits_process", num_requests);
  REQUIRE_COUNT("logits_process", vocab_size);
  REQUIRE(args->vocab_size > 0, "logits_process: vocab_size is 0");
  if (args->num_requests == 0) return BZ_OK;
  REQUIRE_POINTER("logits_process", logits);
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
  if (args->num_requests > 1) REQUIRE_STRIDE("logits_process", logits_stride, uint64_t{args->vocab_size});
  return BZ_OK;
}

bz_status check_sample(const bz_sample_args *given, bz_sample_args *args) {
  BZ_TRY(take_args("sample", given, offsetof(bz_sample_args, row_status), args));
  REQUIRE_ZERO("sample", reserved);
  REQUIRE_COUNT("sample", num_requests);
  REQUIRE_COUNT("sample", vocab_size);
  REQUIRE(args->vocab_size > 0, "sample: vocab_size is 0");
  if (args->num_requests == 0) return BZ_OK;
  REQUIRE_POINTER("sample", logits);
  REQUIRE_POINTER("sample", temperature);
  REQUIRE_POINTER("sample", top_p);
  REQUIRE_POINTER("sample", min_p);
  REQUIRE_POINTER("sample", top_k);
  REQUIRE_POINTER("sample", seeds);
  REQUIRE_POINTER("sample", positions);
  REQUIRE_POINTER("sample", out);
  if (args->num_requests > 1) REQUIRE_STRIDE("sample", logits_stride, uint64_t{args->vocab_size});
  if (args->num_requests > 1 && args->out_processed != nullptr)
    REQUIRE_STRIDE("sample", processed_stride, uint64_t{args->vocab_size});
  return BZ_OK;
}

bz_status check_logprobs(const bz_logprobs_args *args) {
  BZ_CHECK_ARGS("logprobs", args);
  REQUIRE_ZERO("logprobs", reserved);
  REQUIRE_COUNT("logprobs", num_requests);
  REQUIRE_COUNT("logprobs", vocab_size);
  REQUIRE(args->vocab_size > 0, "logprobs: vocab_size is 0");
  REQUIRE(args->num_top <= args->vocab_size, "logprobs: num_top is %u, vocab_size is %u", args->num_top,
          args->vocab_size);
  REQUIRE(args->mode <= BZ_LOGPROBS_LOGITS, "logprobs: unknown mode %u", args->mode);
  if (args->num_requests == 0) return BZ_OK;
  REQUIRE_POINTER("logprobs", logits);
  REQUIRE_POINTER("logprobs", ids);
  REQUIRE_POINTER("logprobs", out_logprob);
  REQUIRE_POINTER("logprobs", out_rank);
  if (args->num_top > 0) {
    REQUIRE_POINTER("logprobs", out_top_ids);
    REQUIRE_POINTER("logprobs", out_top_logprobs);
  }
  if (args->num_requests > 1) REQUIRE_STRIDE("logprobs", logits_stride, uint64_t{args->vocab_size});
  return BZ_OK;
}

} // namespace bz
