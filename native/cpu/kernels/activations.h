// Rows of activations as the products of int8 and int4 weights read them.
#pragma once
#include "../linear_kernels.h"

// Levels with vectors and no instruction for sums of byte products read 16-bit words: activation_words.h. The others
// read bytes: activation_planes.h.
#if defined(__AVX2__) && !defined(__AVX512VNNI__)
#define BZ_HAS_WORDS 1
#else
#define BZ_HAS_WORDS 0
#endif

namespace bz::BZ_LEVEL {

constexpr bool has_packed_codes(const PackedFormat &f) { return f.storage == Storage::int4 && !f.is_codebook; }

// Tokens lie in tiles, of each tile group after group of 32 columns: a cell is one group of one token.
struct ActivationTiles {
  uint32_t num_tokens, tile, groups, planes; // planes: 1 for 8 bits, 2 for 12

  ActivationTiles(uint32_t num_tokens, uint32_t c, uint32_t planes, uint32_t most)
      : num_tokens(num_tokens), tile(num_tokens < most ? num_tokens : most), groups((c + GROUP - 1) / GROUP),
        planes(planes) {}

  // Of all tokens of all tiles.
  uint64_t cells() const { return uint64_t{(num_tokens + tile - 1) / tile} * tile * groups; }
};

// Calls each(cell, half cell, 32 columns of x) for cells [begin, end). Halves of 16 columns lie
// [tiles][groups][2][tile].
template <class Each>
inline void for_each_cell(const ActivationTiles &a, const float *x, uint64_t x_stride, uint32_t c, uint64_t begin,
                          uint64_t end, Each each) {
  uint64_t lane = begin % a.tile, block = begin / a.tile, g = block % a.groups, first = block / a.groups * a.tile;
  for (uint64_t at = begin; at < end; at++) {
    if (first + lane < a.num_tokens) { // the last tile may have fewer
      const float *from = x + (first + lane) * x_stride + g * GROUP;
      float padded[GROUP];
      if ((g + 1) * GROUP > c) { // the last group of a row may be short
        for (uint64_t i = 0; i < GROUP; i++) padded[i] = g * GROUP + i < c ? from[i] : 0;
        from = padded;
      }
      each(at, block * 2 * a.tile + lane, from);
    }
    if (++lane < a.tile) continue;
    lane = 0;
    block++;
    if (++g < a.groups) continue;
    g = 0;
    first += a.tile;
  }
}

} // namespace bz::BZ_LEVEL
