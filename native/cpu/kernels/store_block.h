// The end of every product: its sums to y.
#pragma once
#include "lanes.h"
#include "linear_parts.h"

namespace bz {
namespace {

// The segment's last block, of which some rows are padding.
[[gnu::noinline]] inline void store_last_block(const BZ_LEVEL::Output &out, const Segment &s, uint32_t block,
                                               uint64_t token, const float *sums) {
  const uint32_t in_segment = block * LANES, row = s.first_row + in_segment;
  float *y = out.y + token * out.stride + row;
  for (uint32_t i = 0; i < s.num_rows - in_segment; i++) {
    const float sum = out.bias != nullptr ? sums[i] + out.bias[row + i] : sums[i];
    y[i] = out.accumulate ? y[i] + sum : sum;
  }
}

// Blocks [block, block + B) of tokens [token, token + N).
template <uint32_t B, uint32_t N>
[[gnu::always_inline]] inline void store_blocks(const BZ_LEVEL::Output &out, const Segment &s, uint32_t block,
                                                uint64_t token, Floats (&sums)[B][N]) {
#pragma GCC unroll 4
  for (uint32_t b = 0; b < B; b++) {
    const uint32_t in_segment = (block + b) * LANES, row = s.first_row + in_segment;
    if (in_segment + LANES > s.num_rows) {
      for (uint32_t t = 0; t < N; t++) {
        float lanes[LANES];
        store(lanes, sums[b][t]);
        store_last_block(out, s, block + b, token + t, lanes);
      }
      return;
    }
    float *y = out.y + token * out.stride + row;
    if (out.bias != nullptr) {
      const Floats bias = load_f32(out.bias + row);
#pragma GCC unroll 12
      for (uint32_t t = 0; t < N; t++) sums[b][t] = add(sums[b][t], bias);
    }
    if (out.accumulate) {
#pragma GCC unroll 12
      for (uint32_t t = 0; t < N; t++) sums[b][t] = add(load_f32(y + t * out.stride), sums[b][t]);
    }
#pragma GCC unroll 12
    for (uint32_t t = 0; t < N; t++) store(y + t * out.stride, sums[b][t]);
  }
}

inline void store_block(const BZ_LEVEL::Output &out, const Segment &s, uint32_t block, uint64_t token, Floats sum) {
  Floats sums[1][1] = {{sum}};
  store_blocks(out, s, block, token, sums);
}

} // namespace
} // namespace bz
