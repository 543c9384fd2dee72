// The pieces of the linear product of one instruction set level, and what they hand each other.
#pragma once
#include "../linear_kernels.h"

namespace bz::BZ_LEVEL {

// Where a product's results go: y[t, n] = sum (+ bias[n]) (+ y[t, n]).
struct Output {
  float *y;
  uint64_t stride;
  const float *bias;
  bool accumulate;
};

struct Share {
  uint32_t block_begin, block_end; // of one segment
  uint32_t token_begin, token_end; // begin is a multiple of TOKEN_TILE
};

// How tokens lie in Activations: in tiles of ACTIVATION_TILE, with so many bytes a level.
#if defined(BZ_LEVEL_avx2)
// A level is one 16-bit word. A tile is what one product takes, so that it reads its activations in a row; its int32
// sums fill half of the 16 registers.
constexpr uint32_t WORD_TILE = 4, ACTIVATION_TILE = WORD_TILE;
static inline uint32_t level_bytes(uint32_t) { return 2; }
#else
constexpr uint32_t ACTIVATION_TILE = TOKEN_TILE;
static inline uint32_t level_bytes(uint32_t planes) { return planes; }
#endif

// The activations' cells [begin, end): each is one group of one row of x. quantize.cc
void quantize(const float *x, uint64_t x_stride, uint32_t c, Activations &out, uint64_t begin, uint64_t end);

// linear_int.cc
void linear_int(const Segment &s, const Activations &a, const Output &out, const Share &share);

// linear_float.cc
void linear_float(const Segment &s, const float *x, uint64_t x_stride, uint32_t c, const Output &out,
                  const Share &share);

#if defined(__AMX_INT8__)
// The same numbers as linear_int. `panel`: panel_bytes of scratch of this thread. linear_amx.cc
void linear_int_amx(const Segment &s, const Activations &a, const Output &out, const Share &share, std::byte *panel);
#endif

} // namespace bz::BZ_LEVEL
