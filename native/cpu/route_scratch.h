// Scratch memory of bz_route: three rows of as many values as there are experts, for each thread.
#pragma once
#include <cstddef>
#include <cstdint>

namespace bz {

static inline uint64_t route_scratch_bytes(uint64_t num_experts) { return (num_experts * 3 * 4 + 63) / 64 * 64; }

struct RouteScratch {
  float *scores, *keys, *groups;

  [[gnu::always_inline]] RouteScratch(std::byte *scratch, uint64_t num_experts, uint32_t tid)
      : scores(reinterpret_cast<float *>(scratch + tid * route_scratch_bytes(num_experts))),
        keys(scores + num_experts), groups(keys + num_experts) {}
};

} // namespace bz
