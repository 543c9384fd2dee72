// Activations as levels without VNNI read them: 16-bit words, one a level, for vpmaddwd, or bytes for vpmaddubsw, where
// levels of 8 bits meet packed codes. Of each 8 columns the pairs of words are (0, 2), (1, 3), (4, 6), (5, 7): what
// shifts alone make of bytes.
//
// Words meet packed codes of 4 bits, four to a word, w = a + 16 b + 256 c + 4096 d, without a mask. With the sign
// turned (d - 8 in place of d), shifts by 0, 4, 8, 12 give a + 16 B, B = b + 16 C, C = c + 16 D, D = d - 8, so that
//   xa a + xb b + xc c + xd (d - 8) = xa w + (xb - 16 xa) B + (xc - 16 xb) C + (xd - 16 xc) D:
// shifted words meet differences of levels. `start` has the rest: what is 8 too little in d, and the format's offset.
#pragma once
#include "activations.h"

namespace bz::BZ_LEVEL {

// What one product takes, so that it reads its activations in a row: its int32 and float32 sums fill half of the
// registers.
#if defined(__AVX512F__)
constexpr uint32_t WORD_TILE = 8;
#else
constexpr uint32_t WORD_TILE = 4;
#endif

// A weight's needs only are filled; the pointers of others are null.
struct Activations : ActivationTiles {
  float *scale;           // [tiles][groups][tile]: largest magnitude / largest level
  float *sum, *half_sum;  // scale * sum of the levels: of a group, and of its halves: [tiles][groups][2][tile]
  int16_t *words;         // [tiles][groups][tile][32]: levels
  int16_t *code_words;    // the same, for packed codes and 12 bits: differences of levels
  int8_t *code_bytes;     // the same, for packed codes and 8 bits: levels in the order of columns
  int32_t *start[3], *half_start[3]; // what a sum of packed codes starts from, by the format's offset / 4
  uint64_t bytes;         // from `at` on; a null `at` asks for this alone

  Activations(std::byte *at, const bz_weight &w, uint32_t num_tokens, uint32_t planes);
};

} // namespace bz::BZ_LEVEL
