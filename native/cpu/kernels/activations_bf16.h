// Rows of activations rounded to bfloat16, as products of bfloat16 weights read them: in tiles of tokens, of which rows
// of 32 columns are the tile unit's operands, and lie at fixed distances for other products.
#pragma once
#include <cstring>

#include "activations.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>

namespace bz::BZ_LEVEL {

#if defined(__AMX_BF16__)
constexpr uint32_t BF16_TILE = TOKEN_TILE;
#else
constexpr uint32_t BF16_TILE = 8;
#endif

struct Bf16Activations : ActivationTiles {
  uint16_t *values; // [tiles][groups][tile][32]
  uint64_t bytes;

  Bf16Activations(std::byte *at, uint32_t num_tokens, uint32_t c)
      : ActivationTiles(num_tokens, c, 1, BF16_TILE), values(reinterpret_cast<uint16_t *>(at)),
        bytes(cells() * GROUP * 2) {}
};

// Fills cells [begin, end) from rows of x. Values are rounded to the nearest, to even among equals; subnormals become
// 0.
inline void round_to_bf16(const float *x, uint64_t x_stride, const Bf16Activations &out, uint32_t c, uint64_t begin,
                          uint64_t end) {
  for_each_cell(out, x, x_stride, c, begin, end, [&](uint64_t at, uint64_t, const float *from) {
    // The tokens of a tile are rows apart: their next columns come from memory unasked only once a row is read on.
    __builtin_prefetch(from + 2 * GROUP);
    __builtin_prefetch(from + 2 * GROUP + 16);
    const __m512bh both = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + 16), _mm512_loadu_ps(from));
    std::memcpy(out.values + at * GROUP, &both, sizeof both);
  });
}

} // namespace bz::BZ_LEVEL
#endif
