// Ops of latent attention.
#include <cmath>

#include "check_ops.h"
#include "dtype.h"
#include "require.h"

namespace bz {

static bz_status check_latent_shape(const char *op, uint32_t rank, uint32_t rope_dim) {
  REQUIRE(rank >= 8 && rank <= 1024 && rank % 8 == 0, "%s: rank is %u, must be a multiple of 8 in [8, 1024]", op, rank);
  REQUIRE(rope_dim >= 8 && rope_dim <= 256 && rope_dim % 8 == 0,
          "%s: rope_dim is %u, must be a multiple of 8 in [8, 256]", op, rope_dim);
  return BZ_OK;
}

static bz_status check_heads(const char *op, uint32_t num_heads) {
  REQUIRE(num_heads > 0 && num_heads <= 65536, "%s: num_heads is %u, must be in [1, 65536]", op, num_heads);
  return BZ_OK;
}

bz_status check_latent_cache(const bz_latent_cache_args *args) {
  BZ_CHECK_ARGS("latent_cache_bytes", args);
  BZ_TRY(check_latent_shape("latent_cache_bytes", args->rank, args->rope_dim));
  return check_cache_blocks("latent_cache_bytes", args->block_size, args->num_blocks, args->kv_dtype);
}

bz_status check_latent_kv(const bz_latent_kv_args *args) {
  BZ_CHECK_ARGS("latent_kv", args);
  REQUIRE_ZERO("latent_kv", reserved);
  REQUIRE_COUNT("latent_kv", num_tokens);
  REQUIRE_COUNT("latent_kv", num_positions);
  BZ_TRY(check_heads("latent_kv", args->num_heads));
  BZ_TRY(check_latent_shape("latent_kv", args->rank, args->rope_dim));
  BZ_TRY(check_cache_blocks("latent_kv", args->block_size, args->num_blocks, args->kv_dtype));
  REQUIRE(args->interleaved <= 1, "latent_kv: interleaved is %u, must be 0 or 1", args->interleaved);
  REQUIRE(args->eps >= 0, "latent_kv: eps is %g, must be >= 0", args->eps);
  if (args->num_tokens == 0) return BZ_OK;
  const uint64_t row = uint64_t{args->rank} + args->rope_dim, heads = args->num_heads;
  TRY_MATRIX("latent_kv", kv, args->num_tokens, row);
  TRY_MATRIX("latent_kv", out, args->num_tokens, heads * row);
  REQUIRE_COLS("latent_kv", q);
  REQUIRE(args->q.cols % heads == 0 && args->q.cols / heads >= args->rope_dim,
          "latent_kv: q.cols is %u, must be num_heads %u times rope_dim %u or more", args->q.cols, args->num_heads,
          args->rope_dim);
  TRY_MATRIX("latent_kv", q, args->num_tokens, args->q.cols);
  REQUIRE_POINTER("latent_kv", positions);
  REQUIRE_POINTER("latent_kv", slots);
  REQUIRE_POINTER("latent_kv", cos_sin);
  REQUIRE_POINTER("latent_kv", w);
  REQUIRE_POINTER("latent_kv", cache);
  return BZ_OK;
}

bz_status check_latent_attention(const bz_latent_attention_args *args) {
  BZ_CHECK_ARGS("latent_attention", args);
  REQUIRE_ZERO("latent_attention", reserved);
  REQUIRE_COUNT("latent_attention", num_tokens);
  REQUIRE_COUNT("latent_attention", num_requests);
  BZ_TRY(check_heads("latent_attention", args->num_heads));
  BZ_TRY(check_latent_shape("latent_attention", args->rank, args->rope_dim));
  BZ_TRY(check_cache_blocks("latent_attention", args->block_size, args->num_blocks, args->kv_dtype));
  REQUIRE(std::isfinite(args->scale), "latent_attention: scale is not finite");
  if (args->num_tokens == 0 || args->num_requests == 0) return BZ_OK;
  const uint64_t heads = args->num_heads;
  TRY_MATRIX("latent_attention", q, args->num_tokens, heads * (uint64_t{args->rank} + args->rope_dim));
  TRY_MATRIX("latent_attention", out, args->num_tokens, heads * args->rank);
  REQUIRE_POINTER("latent_attention", query_start);
  REQUIRE_POINTER("latent_attention", seq_lens);
  REQUIRE_POINTER("latent_attention", block_table);
  REQUIRE_POINTER("latent_attention", cache);
  return BZ_OK;
}

bz_status check_linear_heads(const bz_linear_heads_args *args) {
  BZ_CHECK_ARGS("linear_heads", args);
  REQUIRE_COUNT("linear_heads", num_tokens);
  BZ_TRY(check_heads("linear_heads", args->num_heads));
  BZ_REQUIRE(args->w_dtype == BZ_F32 || args->w_dtype == BZ_BF16, BZ_ENOSYS,
             "linear_heads: w_dtype is %s, f32 and bf16 are supported", dtype_name(args->w_dtype));
  const auto check_part = [&](const char *field, uint32_t size, const bz_matrix &m) {
    REQUIRE(size > 0 && m.cols % args->num_heads == 0 && m.cols / args->num_heads >= size,
            "linear_heads: %s.cols is %u, must be num_heads %u times %u or more", field, m.cols, args->num_heads, size);
    return check_matrix("linear_heads", field, m, args->num_tokens, m.cols);
  };
  if (args->num_tokens == 0) return BZ_OK;
  REQUIRE_COLS("linear_heads", x);
  REQUIRE_COLS("linear_heads", y);
  BZ_TRY(check_part("x", args->c, args->x));
  BZ_TRY(check_part("y", args->n, args->y));
  REQUIRE_POINTER("linear_heads", w);
  return BZ_OK;
}

} // namespace bz
