// The pieces of the linear product of one instruction set level, and what they hand each other.
#pragma once
#include "activations.h"

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

// Fills the activations' cells [begin, end) from rows of x. quantize_planes.cc, quantize_words.cc
void quantize(const float *x, uint64_t x_stride, uint32_t c, const Activations &out, uint64_t begin, uint64_t end);

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
