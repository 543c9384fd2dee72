// Activations as bytes: a level is one int8, or with two planes 16 * first + second, first in [-120, 120] and second in
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
  uint64_t bytes;      // from `at` on; a null `at` asks for this alone

  Activations(std::byte *at, const bz_weight &w, uint32_t num_tokens, uint32_t planes)
      : ActivationTiles(num_tokens, w.c, planes, TOKEN_TILE) {
    const uint64_t n = cells();
    auto next = reinterpret_cast<uintptr_t>(at);
    const auto place = [&]<class T>(T *&to, uint64_t count) {
      to = reinterpret_cast<T *>(next);
      next += count * sizeof(T);
    };
    place(scale, n);
    place(sum, n);
    place(minus_sum, n);
    place(half_sum, 2 * n);
    place(minus_half_sum, 2 * n);
    place(levels, (n + TOKEN_TILE) * planes * GROUP); // loads of the tile unit may read a whole tile
    bytes = next - reinterpret_cast<uintptr_t>(at);
  }
};

} // namespace bz::BZ_LEVEL
