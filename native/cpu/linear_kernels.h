// What weights need of an instruction set level: the linear product. One table a level, in kernels/linear.cc.
#pragma once
#include "packed_weight.h"
#include "team.h"

namespace bz {

struct LinearKernels {
  // bz_linear for any weight and any number of tokens, in one fixed order of operations: a token's result depends
  // neither on the other tokens nor on the threads. Scratch: linear_scratch_bytes.
  void (*linear)(const bz_linear_args &args, Team &team);
};

// Each row of x in 8 or 12 bits, a scale a group of 32 columns, laid out for the products. Tokens go in tiles of `tile`.
// A level is one int8, or with two planes 16 * first + second, first in [-127, 127] and second in [-8, 7]; at the AVX2
// level it is one int16 in either case.
struct Activations {
  uint32_t num_tokens, tile, groups, planes;
  int8_t *levels;      // [tiles][groups][tile][planes][32]
  float *scale;        // [tiles][groups][tile]: largest magnitude / largest level
  float *sum;          // scale * sum of the group's levels
  int32_t *minus_sum;  // -(sum of the group's levels)
  float *half_sum;     // the same of each half group, for formats with a scale each 16: [tiles][2 groups][tile]
  int32_t *minus_half_sum;

  // Groups of all tokens of all tiles.
  uint64_t cells() const { return uint64_t{(num_tokens + tile - 1) / tile} * tile * groups; }
};

constexpr uint32_t TOKEN_TILE = 16;
constexpr int PLANE_SHIFT = 4;
constexpr float MAX_LEVEL = 127, MAX_FINE_LEVEL = (127 << PLANE_SHIFT) + 7;

static inline uint32_t activation_planes(const bz_linear_args &a) { return a.flags & BZ_LINEAR_FINE ? 2 : 1; }

// Bytes of the activations of num_tokens rows, a multiple of 64; whatever a level's tile is, whole ones fit.
static inline uint64_t activation_bytes(uint32_t num_tokens, uint32_t c) {
  const uint64_t rows = num_tokens == 1 ? 1 : (uint64_t{num_tokens} + TOKEN_TILE - 1) / TOKEN_TILE * TOKEN_TILE;
  const uint64_t cells = rows * ((uint64_t{c} + GROUP - 1) / GROUP);
  constexpr uint64_t level_bytes = 2 * GROUP; // of a group: two planes, or a word each
  const uint64_t slack = 64 + TOKEN_TILE * level_bytes; // tile loads may read a whole tile
  return cells * (level_bytes + 4 + 4 + 4 + 8 + 8) / 64 * 64 + slack;
}

// Few values are quantized by every thread for itself: that costs less than waiting for each other.
constexpr uint64_t QUANTIZE_ALONE = 4096;

static inline bool quantize_alone(uint32_t num_tokens, uint32_t c) {
  return uint64_t{num_tokens} * c <= QUANTIZE_ALONE;
}

// Blocks whose weights, as int8, stay in the second cache while all tokens pass by.
static inline uint32_t panel_blocks(uint32_t c_padded) {
  constexpr uint64_t CACHE_BYTES = 256 * 1024;
  const uint64_t blocks = CACHE_BYTES / (uint64_t{c_padded} * LANES);
  return blocks > 0 ? static_cast<uint32_t>(blocks) : 1;
}

// A panel of int4 weights widened to int8, for each plane of the activations.
static inline uint64_t panel_bytes(uint32_t c, uint32_t planes) {
  const uint32_t c_padded = (c + GROUP - 1) / GROUP * GROUP;
  return uint64_t{panel_blocks(c_padded)} * c_padded * LANES * planes;
}

static inline uint64_t linear_scratch_bytes(const bz_linear_args &a, uint32_t num_threads) {
  const bz_weight &w = *a.weight;
  if (w.is_float) return 0;
  const uint32_t planes = activation_planes(a);
  const uint64_t copies = quantize_alone(a.num_tokens, w.c) ? num_threads : 1;
  return copies * activation_bytes(a.num_tokens, w.c) + num_threads * panel_bytes(w.c, planes);
}

} // namespace bz
