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

// Bytes of a level of so many planes: at the AVX2 level it is one 16-bit word.
#if defined(BZ_LEVEL_avx2)
static inline uint32_t level_bytes(uint32_t) { return 2; }
#else
static inline uint32_t level_bytes(uint32_t planes) { return planes; }
#endif

// The activations of x's rows [begin, end) * groups; each item is one group of one row. quantize.cc
void quantize(const float *x, uint64_t x_stride, uint32_t c, Activations &out, uint64_t item_begin, uint64_t item_end);

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
