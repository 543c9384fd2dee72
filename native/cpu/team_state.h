// What the threads of a team share. Owned by the stream; reset at the start of a region.
#pragma once
#include <atomic>

#include "barrier.h"
#include "team.h"

namespace bz {

struct TeamState {
  Barrier barrier;
  alignas(64) std::atomic<uint32_t> next{0}; // what claim() hands out next
  alignas(64) std::atomic<bool> failing{false};
  bz_status status = BZ_OK;
  uint32_t spins = 0; // pauses a thread spins in a barrier before it sleeps
  std::byte *scratch = nullptr;
  char words[256] = {};
};

} // namespace bz
