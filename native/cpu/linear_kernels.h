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

constexpr uint32_t TOKEN_TILE = 16;

// Levels of activations are whole numbers up to these. The fine one is the largest m for which 17 m is a 16-bit word:
// kernels/activation_words.h.
constexpr float MAX_LEVEL = 127, MAX_FINE_LEVEL = 1927;

static inline uint32_t activation_planes(const bz_linear_args &a) { return a.flags & BZ_LINEAR_FINE ? 2 : 1; }

// Bytes of the activations of num_tokens rows, a multiple of 64; whatever a level's tile is, whole ones fit.
static inline uint64_t activation_bytes(uint32_t num_tokens, uint32_t c) {
  const uint64_t rows = num_tokens == 1 ? 1 : (uint64_t{num_tokens} + TOKEN_TILE - 1) / TOKEN_TILE * TOKEN_TILE;
  const uint64_t cells = rows * ((uint64_t{c} + GROUP - 1) / GROUP);
  constexpr uint64_t level_bytes = 2 * GROUP; // of a group: two planes, or a word each
  constexpr uint64_t cell_bytes = 2 * level_bytes + 4 + 4 + 8 + 3 * (4 + 8); // activation_words.h, which needs the most
  const uint64_t slack = 64 + TOKEN_TILE * level_bytes; // tile loads may read a whole tile
  return cells * cell_bytes / 64 * 64 + slack;
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
