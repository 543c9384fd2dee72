// The end of every product: 16 sums of one token to y.
#pragma once
#include "lanes.h"
#include "linear_parts.h"

namespace bz {
namespace {

inline void store_block(const BZ_LEVEL::Output &out, const Segment &s, uint32_t block, uint64_t token, Floats sum) {
  const uint32_t in_segment = block * LANES, row = s.first_row + in_segment;
  float *y = out.y + token * out.stride + row;
  if (in_segment + LANES <= s.num_rows) {
    if (out.bias != nullptr) sum = add(sum, load_f32(out.bias + row));
    if (out.accumulate) sum = add(load_f32(y), sum);
    return store(y, sum);
  }
  float lanes[LANES];
  store(lanes, sum);
  for (uint32_t i = 0; i < s.num_rows - in_segment; i++) {
    if (out.bias != nullptr) lanes[i] += out.bias[row + i];
    y[i] = out.accumulate ? y[i] + lanes[i] : lanes[i];
  }
}

} // namespace
} // namespace bz
