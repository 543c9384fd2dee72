// Asks memory for the next product's weights while a thread waits for the others, when memory would rest.
#pragma once
#include <algorithm>

#include "linear_pieces.h"

namespace bz {

class WeightsAhead {
 public:
  WeightsAhead() = default;

  // About a thread's own piece of a product.
  WeightsAhead(const bz_weight &weight, uint32_t num_tokens, uint32_t tid, uint32_t num_threads) {
    const uint32_t own = Pieces(weight, num_tokens, num_threads, 1).own, block = own * tid;
    for (uint32_t i = 0; i < weight.num_segments; i++) {
      const Segment &s = weight.segments[i];
      if (block < s.first_block || block >= s.first_block + s.num_blocks) continue;
      const uint64_t first = block - s.first_block, blocks = std::min<uint64_t>(own, s.num_blocks - first);
      at_ = s.values + first * s.block_value_bytes();
      end_ = at_ + std::min(MOST_BYTES, blocks * s.block_value_bytes());
    }
  }

  // Asks for a few lines. False: there are no more to ask for.
  bool ask() {
    if (at_ >= end_) return false;
    for (uint64_t i = 0; i < STEP_BYTES; i += 64) __builtin_prefetch(at_ + i, 0, 2);
    at_ += STEP_BYTES;
    return true;
  }

 private:
  // A part of the second cache; a step is as long as one may come late for what one waits for.
  static constexpr uint64_t MOST_BYTES = 128 * 1024, STEP_BYTES = 256;

  const std::byte *at_ = nullptr, *end_ = nullptr;
};

} // namespace bz
