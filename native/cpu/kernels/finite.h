// Whether all values of a row are numbers.
#pragma once
#include "vec.h"

namespace bz::BZ_LEVEL {

// x - x is 0 for finite values, NaN for all others.
static inline bool is_finite(const float *l, uint64_t n) {
  I odd = {};
  uint64_t i = 0;
  for (; i + W <= n; i += W) {
    const F v = load(l + i);
    odd |= v - v != F{};
  }
  if (i < n) {
    const F v = load_first(l + i, n - i);
    odd |= v - v != F{};
  }
  return lane_bits(odd) == 0;
}

} // namespace bz::BZ_LEVEL
