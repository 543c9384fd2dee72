// What a caller's handle of a weight points at: what kernels see of it, and what they need not know.
//
// GPTQ is held as int4 with float32 scales and minimums, which are exact; without zeros and with float16 scales as Q4_0
// is. Where the columns of its groups do not lie side by side, columns are held in the order of their groups, and those
// of the activations are put in it before each product (linear.cc). That is exact too and costs a pass over the
// activations; with columns where they were, the values would have to be quantized once more, or held in 16 bits. Parts
// with orders of their own are weights of their own, one after the other.
#pragma once
#include "../common/stream_base.h"
#include "../common/weight_args.h"
#include "packed_weight.h"

namespace bz {

// A stack holds its matrices one after the other, all laid out alike: segments and order are those of expert 0.
struct HeldWeight : bz_weight {
  bool is_ordered = false;         // columns lie in the order of their groups
  uint64_t matrix_bytes = 0;       // from one matrix of a stack to the next
  const uint32_t *order = nullptr; // of an ordered weight: number i is column order[i]; nullptr while only planned
  HeldWeight *next = nullptr;      // further rows
  CountedBytes counted;            // of the first one: all of them
};

inline const HeldWeight &held(const bz_weight &w) { return static_cast<const HeldWeight &>(w); }

// Expert `e` of a stack, as products see it. A matrix is its own expert 0. Requires: it is not only planned.
inline bz_weight expert_of(const HeldWeight &w, uint64_t e) {
  bz_weight matrix = w;
  const uint64_t offset = e * w.matrix_bytes;
  matrix.num_experts = 0;
  matrix.bytes = w.matrix_bytes;
  matrix.memory += offset;
  for (uint32_t i = 0; i < w.num_segments; i++) {
    Segment &s = matrix.segments[i];
    s.values += offset;
    s.scales += offset;
    s.mins += offset;
  }
  return matrix;
}

// The order of expert e's columns; nullptr: as they are.
inline const uint32_t *order_of(const HeldWeight &w, uint64_t e) {
  return w.order == nullptr ? nullptr : w.order + e * (w.matrix_bytes / sizeof *w.order);
}

inline WeightShape shape_of(const bz_weight &w) {
  WeightShape shape = {w.n, w.c, w.num_experts, w.memory == nullptr};
  for (const HeldWeight *next = held(w).next; next != nullptr; next = next->next) shape.n += next->n;
  return shape;
}

} // namespace bz
