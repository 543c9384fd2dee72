// Float rows to levels with a scale a group of 32 columns: what BZ_COMPUTE_INT8 and BZ_COMPUTE_INT4 make of a weight.
#pragma once
#include <cstdint>

namespace bz {

constexpr uint64_t QUANTIZE_GROUP = 32;
constexpr int32_t INT8_OFFSET = 128; // level = code - offset

// value = scale * (code - 128), code in [1, 255], scale = largest magnitude / 127 as a float16.
void quantize_row_int8(const float *src, uint64_t c, uint8_t *codes, float *scales);

// value = scale * code + min, code in [0, 15], scale and min float16: of several ways to lay 16 levels over a group's
// values, the one with the least squared error. On normal values that error is 0.83 times that of levels spread from
// the smallest value to the largest, and 0.69 times that of a scale alone.
void quantize_row_int4(const float *src, uint64_t c, uint8_t *codes, float *scales, float *mins);

} // namespace bz
