// Packing: rows of the checkpoint to the layouts of packed_weight.h, and one value back.
#pragma once
#include "../common/weight_args.h"
#include "packed_weight.h"

namespace bz {

inline WeightShape shape_of(const bz_weight &w) { return {w.n, w.c, w.num_experts, w.memory == nullptr}; }

// Fills w's memory (zeroed) from the parts, blocks split over threads. Source rows are read once, in order.
// False when there is no memory for a block's rows.
bool pack_weight(const bz_weight_args &args, const bz_weight &w, uint32_t num_threads);

// Row `row` of the weight as float32 [c].
void unpack_row(const bz_weight &w, uint32_t row, float *out);

} // namespace bz
