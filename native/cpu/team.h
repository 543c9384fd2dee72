// The threads that run an op together.
//
// An op of the CPU library is a "team function": void op(const Args &args, Team &team). Every thread of the team
// calls it with the same args and does its own share. A single call opens one parallel region for one op; a recorded
// step runs all of its ops in one region, with a barrier between them that the runner supplies.
//
// Invariants
//   1. Every thread of a team makes the same sequence of barrier() calls.
//   2. Results do not depend on n or on which thread took which item: outputs are split, reductions never are.
//   3. An op that fails still returns normally in every thread; fail() keeps the first words for the caller.
// Included by kernels of every instruction set: only declarations and internal linkage here.
#pragma once
#include <cstddef>
#include <cstdint>

#include "../include/baozi.h"

namespace bz {

struct TeamState; // what the threads of a team share; team.cc
class WeightsAhead;

struct Team {
  uint32_t tid; // this thread, in [0, n)
  uint32_t n;
  TeamState *state;
  WeightsAhead *ahead = nullptr; // what this thread prefetches while it waits; NULL: nothing

  // Waits for all threads. Afterwards claim() counts from 0 again.
  void barrier();
  // The next number of this phase: 0, 1, 2, ... each handed to exactly one thread. For uneven items.
  uint32_t claim();
  // Scratch memory shared by the team: at least the bytes the op asked for when it was given to the stream, 64-byte
  // aligned, content undefined, valid until the op returns.
  std::byte *scratch();
  [[gnu::format(printf, 3, 4)]] void fail(bz_status status, const char *format, ...);
};

struct Range {
  uint64_t begin, end;
};

// This thread's contiguous share of [0, count), with inner borders at multiples of `unit`.
static inline Range split(uint64_t count, const Team &team, uint64_t unit = 1) {
  const uint64_t units = (count + unit - 1) / unit;
  const uint64_t begin = units * team.tid / team.n * unit, end = units * (team.tid + 1) / team.n * unit;
  return {begin < count ? begin : count, end < count ? end : count};
}

} // namespace bz
