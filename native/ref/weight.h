// A weight of the reference library: float32 [n, c], whatever it came from.
#pragma once
#include <vector>

#include "../common/stream_base.h"
#include "../common/weight_args.h"

struct bz_weight {
  uint32_t n, c, num_experts;
  std::vector<float> values; // empty: planned
  bz::CountedBytes counted;

  uint64_t bytes() const { return uint64_t{n} * c * (num_experts > 0 ? num_experts : 1) * sizeof(float); }
  bz::WeightShape shape() const { return {n, c, num_experts, values.empty()}; }
};
