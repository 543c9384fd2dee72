// The reference library's cache: [slot][K][D], in float32 or bfloat16.
#pragma once
#include "../common/dtype.h"

namespace bz {

inline float load_kv(const void *cache, uint32_t dtype, uint64_t index) {
  if (dtype == BZ_F32) return static_cast<const float *>(cache)[index];
  return bf16_to_f32(static_cast<const uint16_t *>(cache)[index]);
}

inline void store_kv(void *cache, uint32_t dtype, uint64_t index, float value) {
  if (dtype == BZ_F32) static_cast<float *>(cache)[index] = value;
  else static_cast<uint16_t *>(cache)[index] = f32_to_bf16(value);
}

} // namespace bz
