// Packing: rows of the checkpoint to the layouts of packed_weight.h, and one value back.
#pragma once
#include "held_weight.h"

namespace bz {

// Fills a matrix's memory (zeroed) from its parts, blocks split over threads. Source rows are read once, in order.
// `order` is HeldWeight's. False when there is no memory for a block's rows.
bool pack_matrix(const bz_weight_args &args, const bz_weight &w, const uint32_t *order, uint32_t num_threads);

// Row `row` of the weight, or of those that follow it, as float32 [c].
void unpack_row(const HeldWeight &w, uint32_t row, float *out);

} // namespace bz
