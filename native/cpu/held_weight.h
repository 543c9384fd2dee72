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

struct HeldWeight : bz_weight {
  bool is_ordered = false;         // columns lie in the order of their groups
  const uint32_t *order = nullptr; // of an ordered weight: number i is column order[i]; nullptr while only planned
  HeldWeight *next = nullptr;      // further rows
  CountedBytes counted;            // of the first one: all of them
};

inline const HeldWeight &held(const bz_weight &w) { return static_cast<const HeldWeight &>(w); }

inline WeightShape shape_of(const bz_weight &w) {
  WeightShape shape = {w.n, w.c, w.num_experts, w.memory == nullptr};
  for (const HeldWeight *next = held(w).next; next != nullptr; next = next->next) shape.n += next->n;
  return shape;
}

} // namespace bz
