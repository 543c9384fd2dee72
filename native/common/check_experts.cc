// Ops of mixtures of experts. The one that takes a weight: weight_args.cc.
#include <cmath>

#include "check_ops.h"
#include "require.h"

namespace bz {

static bz_status check_groups(const bz_route_args *args, uint32_t num_experts) {
  const uint32_t groups = args->num_groups, top = args->top_groups;
  REQUIRE(num_experts % groups == 0, "route: num_groups is %u, must be a divisor of the %u experts", groups,
          num_experts);
  const uint32_t size = num_experts / groups;
  REQUIRE(top > 0 && top <= groups, "route: top_groups is %u, must be 1 to num_groups %u", top, groups);
  REQUIRE(args->top_k <= uint64_t{top} * size, "route: top_k is %u, but %u groups have %u experts each", args->top_k,
          top, size);
  REQUIRE(args->group_scores <= BZ_GROUPS_BY_TOP2, "route: unknown group_scores %u", args->group_scores);
  REQUIRE(args->group_scores != BZ_GROUPS_BY_TOP2 || size >= 2, "route: groups of one expert have no two largest");
  return BZ_OK;
}

bz_status check_route(const bz_route_args *args) {
  BZ_CHECK_ARGS("route", args);
  REQUIRE_ZERO("route", reserved);
  REQUIRE_COUNT("route", num_tokens);
  REQUIRE(args->scores <= BZ_SCORES_SIGMOID, "route: unknown scores %u", args->scores);
  REQUIRE(args->normalize <= 1, "route: normalize is %u, must be 0 or 1", args->normalize);
  REQUIRE(std::isfinite(args->scale), "route: scale is not finite");
  if (args->num_tokens == 0) return BZ_OK;
  REQUIRE(args->x.cols > 0 && args->x.cols <= 65536, "route: x.cols is %u, must be 1 to 65536", args->x.cols);
  TRY_LOGITS("route", x, args->num_tokens, args->x.cols);
  REQUIRE(args->top_k > 0 && args->top_k <= args->x.cols, "route: top_k is %u, must be 1 to the %u experts",
          args->top_k, args->x.cols);
  if (args->num_groups > 1) BZ_TRY(check_groups(args, args->x.cols));
  REQUIRE_POINTER("route", ids);
  REQUIRE_POINTER("route", weights);
  return BZ_OK;
}

bz_status check_combine(const bz_combine_args *args) {
  BZ_CHECK_ARGS("combine", args);
  REQUIRE_COUNT("combine", num_tokens);
  REQUIRE(args->top_k > 0 && args->top_k <= 65536, "combine: top_k is %u, must be 1 to 65536", args->top_k);
  REQUIRE(args->accumulate <= 1, "combine: accumulate is %u, must be 0 or 1", args->accumulate);
  if (args->num_tokens == 0) return BZ_OK;
  REQUIRE_COLS("combine", y);
  TRY_MATRIX("combine", x, uint64_t{args->num_tokens} * args->top_k, args->y.cols);
  TRY_MATRIX("combine", y, args->num_tokens, args->y.cols);
  REQUIRE_POINTER("combine", weights);
  return BZ_OK;
}

} // namespace bz
