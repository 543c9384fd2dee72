// Checks of the ops that carry a state from token to token.
#include <cmath>

#include "check_ops.h"
#include "require.h"

namespace bz {

// `floats`: of one slot.
template <class Args> static bz_status check_slots(const char *op, const Args *args, uint64_t floats) {
  using ull = unsigned long long;
  REQUIRE(args->num_slots <= MAX_COUNT, "%s: num_slots is %u, the limit is %u", op, args->num_slots, MAX_COUNT);
  REQUIRE(args->state_stride >= floats && args->state_stride <= uint64_t{1} << 31,
          "%s: state_stride is %llu, must be in [%llu, 2^31]", op, ull{args->state_stride}, ull{floats});
  REQUIRE(args->query_start != nullptr, "%s: query_start is NULL", op);
  REQUIRE(args->read_slots != nullptr, "%s: read_slots is NULL", op);
  REQUIRE(args->write_slots != nullptr, "%s: write_slots is NULL", op);
  REQUIRE(args->state != nullptr, "%s: state is NULL", op);
  return BZ_OK;
}

static bz_status check_in_place(const char *op, const bz_matrix &x, const bz_matrix &y, uint64_t rows) {
  REQUIRE(y.data != x.data || rows == 1 || y.stride == x.stride, "%s: in place, but y.stride differs from x.stride",
          op);
  return BZ_OK;
}

bz_status check_causal_conv(const bz_causal_conv_args *args) {
  BZ_CHECK_ARGS("causal_conv", args);
  REQUIRE_COUNT("causal_conv", num_tokens);
  REQUIRE_COUNT("causal_conv", num_requests);
  REQUIRE(args->num_taps >= 2 && args->num_taps <= 8, "causal_conv: num_taps is %u, must be in [2, 8]",
          args->num_taps);
  REQUIRE(args->silu <= 1, "causal_conv: silu is %u, must be 0 or 1", args->silu);
  if (args->num_tokens == 0) return BZ_OK;
  REQUIRE_COLS("causal_conv", x);
  TRY_MATRIX("causal_conv", x, args->num_tokens, args->x.cols);
  TRY_MATRIX("causal_conv", y, args->num_tokens, args->x.cols);
  BZ_TRY(check_in_place("causal_conv", args->x, args->y, args->num_tokens));
  BZ_TRY(check_slots("causal_conv", args, uint64_t{args->num_taps - 1} * args->x.cols));
  REQUIRE_POINTER("causal_conv", w);
  return BZ_OK;
}

bz_status check_selective_scan(const bz_selective_scan_args *args) {
  BZ_CHECK_ARGS("selective_scan", args);
  REQUIRE_COUNT("selective_scan", num_tokens);
  REQUIRE_COUNT("selective_scan", num_requests);
  REQUIRE(args->num_heads > 0 && args->num_heads <= 1u << 20, "selective_scan: num_heads is %u, must be in [1, 2^20]",
          args->num_heads);
  REQUIRE(args->head_dim > 0 && args->head_dim <= 4096, "selective_scan: head_dim is %u, must be in [1, 4096]",
          args->head_dim);
  REQUIRE(args->state_dim > 0 && args->state_dim <= 1024, "selective_scan: state_dim is %u, must be in [1, 1024]",
          args->state_dim);
  REQUIRE(args->num_groups > 0 && args->num_heads % args->num_groups == 0,
          "selective_scan: num_groups is %u, must divide num_heads %u", args->num_groups, args->num_heads);
  REQUIRE(args->dt_min >= 0 && args->dt_max >= args->dt_min,
          "selective_scan: dt_min is %g and dt_max %g, must be rising from 0", args->dt_min, args->dt_max);
  if (args->num_tokens == 0) return BZ_OK;
  const uint64_t channels = uint64_t{args->num_heads} * args->head_dim;
  const uint64_t projected = uint64_t{args->num_groups} * args->state_dim;
  TRY_MATRIX("selective_scan", x, args->num_tokens, channels);
  TRY_MATRIX("selective_scan", y, args->num_tokens, channels);
  if (args->z.data != nullptr) TRY_MATRIX("selective_scan", z, args->num_tokens, channels);
  TRY_MATRIX("selective_scan", dt, args->num_tokens, args->num_heads);
  TRY_MATRIX("selective_scan", b, args->num_tokens, projected);
  TRY_MATRIX("selective_scan", c, args->num_tokens, projected);
  TRY_LOGITS("selective_scan", a, args->num_heads, args->a.cols == 1 ? 1 : args->state_dim);
  BZ_TRY(check_in_place("selective_scan", args->x, args->y, args->num_tokens));
  BZ_TRY(check_slots("selective_scan", args, channels * args->state_dim));
  return BZ_OK;
}

bz_status check_gated_rms_norm(const bz_gated_rms_norm_args *args) {
  BZ_CHECK_ARGS("gated_rms_norm", args);
  REQUIRE_ZERO("gated_rms_norm", reserved);
  REQUIRE_COUNT("gated_rms_norm", num_tokens);
  REQUIRE(args->gate_last <= 1, "gated_rms_norm: gate_last is %u, must be 0 or 1", args->gate_last);
  REQUIRE(args->eps >= 0, "gated_rms_norm: eps is %g, must be >= 0", args->eps);
  if (args->num_tokens == 0) return BZ_OK;
  REQUIRE_COLS("gated_rms_norm", x);
  REQUIRE(args->num_groups > 0 && args->x.cols % args->num_groups == 0,
          "gated_rms_norm: num_groups is %u, must divide the %u columns", args->num_groups, args->x.cols);
  TRY_MATRIX("gated_rms_norm", x, args->num_tokens, args->x.cols);
  TRY_MATRIX("gated_rms_norm", z, args->num_tokens, args->x.cols);
  TRY_MATRIX("gated_rms_norm", y, args->num_tokens, args->x.cols);
  REQUIRE_POINTER("gated_rms_norm", w);
  return BZ_OK;
}

} // namespace bz
