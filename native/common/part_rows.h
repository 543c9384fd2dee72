// Rows of a weight's part, whatever its scheme.
#pragma once
#include "dequant.h"

namespace bz {

// Widens row `row` of the part to float32 [c].
void dequantize_part_row(const bz_weight_part &part, uint32_t c, uint64_t row, float *out);

// Groups along a GPTQ part's columns.
uint32_t num_groups(const bz_weight_part &part, uint32_t c);

// Whether the columns of a GPTQ part lie in groups one after the other once they are put in `order` [c], which is filled
// in: order[i] is the column that comes as number i. False where a group but the last has not all its columns.
bool order_by_group(const bz_weight_part &part, uint32_t c, uint32_t *order);

// A row of a GPTQ part as codes and scales of `group` columns, a divisor of the part's: value = scale * code + min.
// Columns come in `order`; nullptr: as they are. Exact but for the product of scale and zero where scales are float32.
void decode_gptq_row(const bz_weight_part &part, uint32_t c, uint64_t row, const uint32_t *order, uint32_t group,
                     uint8_t *codes, float *scales, float *mins);

} // namespace bz
