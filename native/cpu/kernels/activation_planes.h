// Activations as bytes: a level is one int8, or with two planes 16 * first + second, first in [-127, 127] and second in
// [-8, 7].
#pragma once
#include "activations.h"

namespace bz::BZ_LEVEL {

constexpr int PLANE_SHIFT = 4;

struct Activations : ActivationTiles {
  int8_t *levels;      // [tiles][groups][tile][planes][32]
  float *scale;        // [tiles][groups][tile]: largest magnitude / largest level
  float *sum;          // scale * sum of the group's levels
  int32_t *minus_sum;  // -(sum of the group's levels)
  float *half_sum;     // the same of each half group, for formats with a scale each 16: [tiles][groups][2][tile]
  int32_t *minus_half_sum;

  // `at`: activation_bytes.
  Activations(std::byte *at, const bz_weight &w, uint32_t num_tokens, uint32_t planes)
      : ActivationTiles(num_tokens, w.c, planes, TOKEN_TILE) {
    const uint64_t n = cells();
    scale = reinterpret_cast<float *>(at);
    sum = scale + n;
    minus_sum = reinterpret_cast<int32_t *>(sum + n);
    half_sum = reinterpret_cast<float *>(minus_sum + n);
    minus_half_sum = reinterpret_cast<int32_t *>(half_sum + 2 * n);
    levels = reinterpret_cast<int8_t *>(minus_half_sum + 2 * n); // last: tile loads may read past them
  }
};

} // namespace bz::BZ_LEVEL
