// Matrices of activations, which are float32 on the CPU.
#pragma once
#include <cstdint>

#include "../include/baozi.h"

namespace bz {

static inline float *floats(const bz_matrix &m) { return static_cast<float *>(m.data); }
static inline float *row_of(const bz_matrix &m, uint64_t row) { return floats(m) + row * m.stride; }

} // namespace bz
