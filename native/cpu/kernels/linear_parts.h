// The pieces of the linear product of one instruction set level, and what they hand each other.
#pragma once
#include "activations_bf16.h"
#if BZ_HAS_WORDS
#include "activation_words.h"
#else
#include "activation_planes.h"
#endif

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

// Blocks whose weights, as int8, stay in the second cache while all tokens pass by.
inline uint32_t panel_blocks(uint32_t c_padded) {
  constexpr uint64_t CACHE_BYTES = 256 * 1024;
  const uint64_t blocks = CACHE_BYTES / (uint64_t{c_padded} * LANES);
  return blocks > 0 ? static_cast<uint32_t>(blocks) : 1;
}

// Scratch of a thread: on the tile unit a panel of int4 weights widened to int8, for each plane of the activations.
inline uint64_t panel_bytes([[maybe_unused]] uint32_t c, [[maybe_unused]] uint32_t planes) {
#if defined(__AMX_INT8__)
  const uint32_t c_padded = (c + GROUP - 1) / GROUP * GROUP;
  return uint64_t{panel_blocks(c_padded)} * c_padded * LANES * planes;
#else
  return 0;
#endif
}

// Fills the activations' cells [begin, end) from rows of x. quantize_planes.cc, quantize_words.cc
void quantize(const float *x, uint64_t x_stride, uint32_t c, const Activations &out, uint64_t begin, uint64_t end);

// linear_int.cc
void linear_int(const Segment &s, const Activations &a, const Output &out, const Share &share);

// linear_float.cc
void linear_float(const Segment &s, const float *x, uint64_t x_stride, uint32_t c, const Output &out,
                  const Share &share);

#if defined(__AVX512BF16__)
// linear_bf16.cc, linear_bf16_amx.cc
void linear_bf16(const Segment &s, const Bf16Activations &a, const Output &out, const Share &share);
#endif

#if defined(__AMX_INT8__)
// The same numbers as linear_int. `panel`: panel_bytes of scratch of this thread. linear_int_amx.cc
void linear_int_amx(const Segment &s, const Activations &a, const Output &out, const Share &share, std::byte *panel);
#endif

} // namespace bz::BZ_LEVEL
