// What a level's instructions can do at most, for bz_measure_read and bz_measure_products: one table a level, in
// kernels/limits.cc. Both run on one thread and keep to registers and the memory they are given.
#pragma once
#include <cstddef>
#include <cstdint>

namespace bz {

struct LimitKernels {
  void (*read)(const std::byte *data, uint64_t bytes); // bytes: a multiple of READ_UNIT
  // Multiply-adds done in about 10 us. NULL: the level has no instruction for the type.
  uint64_t (*f32)();
  uint64_t (*bf16)();
  uint64_t (*int8)();
};

constexpr uint64_t READ_UNIT = 1024;

} // namespace bz
