// Source of the layouts: GPTQ checkpoints as AutoGPTQ writes them (arXiv:2210.17323), float8 e4m3 of arXiv:2209.05433.
#include "part_rows.h"

#include <vector>

#include "dtype.h"

namespace bz {
namespace {

// Element i of a tensor with any alignment, as float32.
float float_at(const bz_weight_tensor &t, uint64_t i) {
  const auto *bytes = static_cast<const uint8_t *>(t.data) + i * dtype_bytes(t.dtype);
  float value;
  dequantize_row(t.dtype, bytes, 1, &value);
  return value;
}

uint32_t word_at(const bz_weight_tensor &t, uint64_t i) {
  uint32_t word;
  std::memcpy(&word, static_cast<const uint8_t *>(t.data) + i * 4, 4);
  return word;
}

// Nibble `which` of a word, the lowest first.
uint32_t nibble(uint32_t word, uint64_t which) { return word >> (4 * which) & 15; }

uint32_t gptq_code(const bz_weight_part &part, uint64_t row, uint64_t column) {
  return nibble(word_at(part.values, column / 8 * part.n + row), column % 8);
}

float gptq_scale(const bz_weight_part &part, uint64_t row, uint64_t group) {
  return float_at(part.scales, group * part.n + row);
}

uint32_t gptq_zero(const bz_weight_part &part, uint64_t row, uint64_t group) {
  if (part.zeros.bytes == 0) return 8;
  return nibble(word_at(part.zeros, group * (part.n / 8) + row / 8), row % 8) + 1;
}

uint64_t gptq_group(const bz_weight_part &part, uint64_t column) {
  if (part.group_cols == 0) return 0;
  return part.group_index.bytes == 0 ? column / part.group_cols : word_at(part.group_index, column);
}

float e4m3_to_f32(uint8_t x) {
  const uint32_t exponent = x >> 3 & 15, mantissa = x & 7, sign = uint32_t{x & 0x80u} << 24;
  if (exponent == 15 && mantissa == 7) return bits_f32(sign | 0x7fc00000u);
  if (exponent == 0) return bits_f32(sign | f32_bits(static_cast<float>(mantissa) * 0x1p-9f));
  return bits_f32(sign | (exponent + 120) << 23 | mantissa << 20);
}

void dequantize_fp8_row(const bz_weight_part &part, uint32_t c, uint64_t row, float *out) {
  const auto *values = static_cast<const uint8_t *>(part.values.data) + row * c;
  const uint64_t columns = part.group_cols == 0 ? 1 : (uint64_t{c} + part.group_cols - 1) / part.group_cols;
  const uint64_t first = part.group_rows == 0 ? 0 : row / part.group_rows * columns;
  for (uint32_t i = 0; i < c; i++)
    out[i] = e4m3_to_f32(values[i]) * float_at(part.scales, first + (part.group_cols == 0 ? 0 : i / part.group_cols));
}

void dequantize_gptq_row(const bz_weight_part &part, uint32_t c, uint64_t row, float *out) {
  for (uint32_t i = 0; i < c; i++) {
    const uint64_t group = gptq_group(part, i);
    const auto code = static_cast<float>(gptq_code(part, row, i)), zero = static_cast<float>(gptq_zero(part, row, group));
    out[i] = gptq_scale(part, row, group) * (code - zero);
  }
}

} // namespace

uint32_t num_groups(const bz_weight_part &part, uint32_t c) {
  return part.group_cols == 0 ? 1 : (c + part.group_cols - 1) / part.group_cols;
}

void dequantize_part_row(const bz_weight_part &part, uint32_t c, uint64_t row, float *out) {
  if (part.scheme == BZ_SCHEME_GPTQ) return dequantize_gptq_row(part, c, row, out);
  if (part.scheme == BZ_SCHEME_FP8) return dequantize_fp8_row(part, c, row, out);
  uint64_t row_bytes = 0;
  rows_bytes(*dtype_info(part.values.dtype), 1, c, &row_bytes);
  dequantize_row(part.values.dtype, static_cast<const uint8_t *>(part.values.data) + row_bytes * row, c, out);
}

bool order_by_group(const bz_weight_part &part, uint32_t c, uint32_t *order) {
  const uint32_t groups = num_groups(part, c), group_cols = part.group_cols == 0 ? c : part.group_cols;
  std::vector<uint32_t> filled(groups, 0);
  for (uint32_t i = 0; i < c; i++) {
    const uint64_t group = gptq_group(part, i), room = group + 1 < groups ? group_cols : c - (groups - 1) * group_cols;
    if (filled[group] == room) return false;
    order[group * group_cols + filled[group]++] = i;
  }
  return true;
}

void decode_gptq_row(const bz_weight_part &part, uint32_t c, uint64_t row, const uint32_t *order, uint32_t group,
                     uint8_t *codes, float *scales, float *mins) {
  for (uint32_t i = 0; i < c; i++)
    codes[i] = static_cast<uint8_t>(gptq_code(part, row, order != nullptr ? order[i] : i));
  for (uint32_t g = 0; g * uint64_t{group} < c; g++) {
    const uint64_t of = part.group_cols == 0 ? 0 : uint64_t{g} * group / part.group_cols;
    scales[g] = gptq_scale(part, row, of);
    mins[g] = -(scales[g] * static_cast<float>(gptq_zero(part, row, of)));
  }
}

} // namespace bz
