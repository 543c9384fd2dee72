// Rows of matrices as float32, whatever their element type; a store rounds to nearest even.
#pragma once
#include <vector>

#include "../common/dtype.h"

namespace bz {

inline void *row_at(const bz_matrix &m, uint64_t row) {
  return static_cast<char *>(m.data) + row * m.stride * dtype_bytes(m.dtype);
}

inline void read_row(const bz_matrix &m, uint64_t row, float *out) {
  const void *at = row_at(m, row);
  for (uint32_t i = 0; i < m.cols; i++) {
    if (m.dtype == BZ_F32) out[i] = static_cast<const float *>(at)[i];
    else if (m.dtype == BZ_BF16) out[i] = bf16_to_f32(static_cast<const uint16_t *>(at)[i]);
    else out[i] = f16_to_f32(static_cast<const uint16_t *>(at)[i]);
  }
}

inline std::vector<float> read_row(const bz_matrix &m, uint64_t row) {
  std::vector<float> out(m.cols);
  read_row(m, row, out.data());
  return out;
}

inline void write_row(const bz_matrix &m, uint64_t row, const float *values) {
  void *at = row_at(m, row);
  for (uint32_t i = 0; i < m.cols; i++) {
    if (m.dtype == BZ_F32) static_cast<float *>(at)[i] = values[i];
    else static_cast<uint16_t *>(at)[i] = m.dtype == BZ_BF16 ? f32_to_bf16(values[i]) : f32_to_f16(values[i]);
  }
}

inline void write_row(const bz_matrix &m, uint64_t row, const std::vector<float> &values) {
  write_row(m, row, values.data());
}

inline void clear_row(const bz_matrix &m, uint64_t row) { write_row(m, row, std::vector<float>(m.cols)); }

} // namespace bz
