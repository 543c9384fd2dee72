// Activations as bytes. A level of 8 bits is one int8; one of 12 bits is 2^shift * first + second, in two planes.
//
// Packed int4 codes have room to be 16 times themselves in a byte, so that both planes go into one sum: their shift is
// 4, first in [-120, 120] and second in [-8, 7]. Other weights have a sum for each plane: a shift of whole bytes is
// cheap to undo in vectors of sums, first in [-8, 8] and second in [-128, 127].
#pragma once
#include "activations.h"
#include "lanes.h"

namespace bz::BZ_LEVEL {

// Whether the tile unit's product is the faster one: from one whole tile of tokens on. Measured.
inline bool uses_tiles([[maybe_unused]] uint32_t num_tokens) {
#if defined(__AMX_INT8__)
  return num_tokens >= TOKEN_TILE;
#else
  return false;
#endif
}

constexpr int CODE_SHIFT = 4, BYTE_SHIFT = 8;

constexpr int plane_shift(const PackedFormat &f) { return has_packed_codes(f) ? CODE_SHIFT : BYTE_SHIFT; }

// log2 of what a format's operands of a product have added to the level; -1: nothing.
constexpr int operand_shift(const PackedFormat &f) {
  if (!has_packed_codes(f)) return SIGNED_SHIFT;
  return f.offset == 8 ? 3 : f.offset == 4 ? 2 : -1;
}
constexpr int MAX_OPERAND_SHIFT = 7;

// What some products of a weight read is filled; the pointers of the rest are null.
struct Activations : ActivationTiles {
  int8_t *code_levels; // [tiles][groups][tile][planes][32], for packed codes
  int8_t *byte_levels; // the same, for other weights
  float *scale;        // [tiles][groups][tile]: largest magnitude / largest level
  float *sum;          // scale * sum of the group's levels, for formats with a minimum
  float *half_sum;     // the same of each half group, for formats with a scale each 16: [tiles][groups][2][tile]
  // What dots start from, by operand_shift: -(sum of the levels) * 2^shift, of groups and of halves. Not for tiles.
  int32_t *start[MAX_OPERAND_SHIFT + 1] = {}, *half_start[MAX_OPERAND_SHIFT + 1] = {};
  uint64_t bytes; // from `at` on; a null `at` asks for this alone

  Activations(std::byte *at, const bz_weight &w, uint32_t num_tokens, uint32_t planes)
      : ActivationTiles(num_tokens, w.c, planes, TOKEN_TILE), code_levels(nullptr), byte_levels(nullptr),
        scale(nullptr), sum(nullptr), half_sum(nullptr) {
    const uint64_t n = cells();
    // Not from 0: that is a pointer to nothing.
    const uintptr_t begin = at != nullptr ? reinterpret_cast<uintptr_t>(at) : 64;
    uintptr_t next = begin;
    const auto place = [&]<class T>(T *&to, uint64_t count) {
      if (to != nullptr) return;
      to = reinterpret_cast<T *>(next);
      next += (count * sizeof(T) + 63) / 64 * 64;
    };
    place(scale, n);
    for (uint32_t i = 0; i < w.num_segments; i++) {
      const PackedFormat &format = w.segments[i].format;
      if (format.is_float()) continue;
      const bool halves = format.group < GROUP;
      // Loads of the tile unit may read a whole tile.
      place(has_packed_codes(format) ? code_levels : byte_levels, (n + TOKEN_TILE) * planes * GROUP);
      if (format.has_min) halves ? place(half_sum, 2 * n) : place(sum, n);
      const int shift = operand_shift(format);
      if (shift < 0 || uses_tiles(num_tokens)) continue;
      halves ? place(half_start[shift], 2 * n) : place(start[shift], n);
    }
    bytes = next - begin;
  }

  int8_t *levels(const PackedFormat &format) const { return has_packed_codes(format) ? code_levels : byte_levels; }
};

} // namespace bz::BZ_LEVEL
