// What weights need of an instruction set level: the linear product. One table a level, in kernels/linear.cc.
#pragma once
#include "packed_weight.h"
#include "team.h"

namespace bz {

// A product with one packed matrix: what is left of bz_linear_args when it has been checked.
struct LinearArgs {
  uint32_t num_tokens, flags;
  const bz_weight *weight;
  const float *x, *bias;
  float *y;
  uint64_t x_stride, y_stride;
};

struct LinearKernels {
  // bz_linear for any weight and any number of tokens, in one fixed order of operations: a token's result depends
  // neither on the other tokens nor on the threads.
  void (*linear)(const LinearArgs &args, Team &team);
  uint64_t (*scratch_bytes)(const LinearArgs &args, uint32_t num_threads);
  // What products of as many tokens, or of fewer, take at most.
  uint64_t (*most_scratch_bytes)(const LinearArgs &args, uint32_t num_threads);
};

constexpr uint32_t TOKEN_TILE = 16;

// Levels of activations are whole numbers up to these. The fine one is the largest m for which 17 m is a 16-bit word:
// kernels/activation_words.h.
constexpr float MAX_LEVEL = 127, MAX_FINE_LEVEL = 1927;

} // namespace bz
