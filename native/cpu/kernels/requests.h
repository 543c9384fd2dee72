// The requests of a step, for ops that carry a state: which rows and slots are theirs.
#pragma once
#include <cstring>

#include "../matrix.h"
#include "../team.h"

namespace bz::BZ_LEVEL {

// Every thread sees the same.
template <class Args> static bool check_requests(const char *op, const Args &a, Team &team) {
  if (a.query_start[0] != 0) {
    team.fail(BZ_EINVAL, "%s: query_start begins with %d", op, a.query_start[0]);
    return false;
  }
  for (uint32_t r = 0; r < a.num_requests; r++) {
    const int32_t begin = a.query_start[r], end = a.query_start[r + 1];
    if (begin > end || static_cast<uint32_t>(end) > a.num_tokens) {
      team.fail(BZ_EINVAL, "%s: request %u has rows [%d, %d), num_tokens is %u", op, r, begin, end, a.num_tokens);
      return false;
    }
    if (begin == end) continue;
    const int64_t read = a.read_slots[r], write = a.write_slots[r];
    if (read < -1 || read >= a.num_slots || write < 0 || write >= a.num_slots) {
      team.fail(BZ_EINVAL, "%s: request %u reads slot %d and writes slot %d, there are %u", op, r, a.read_slots[r],
                a.write_slots[r], a.num_slots);
      return false;
    }
  }
  return true;
}

// Rows of padded tokens, behind those of the requests.
template <class Args> static void clear_padding(const Args &a, const Team &team) {
  const uint64_t first = static_cast<uint64_t>(a.query_start[a.num_requests]);
  const Range rows = split(a.num_tokens - first, team);
  for (uint64_t t = first + rows.begin; t < first + rows.end; t++)
    std::memset(row_of(a.y, t), 0, uint64_t{a.y.cols} * 4);
}

template <class Args> static float *slot_of(const Args &a, int32_t slot) {
  return a.state + static_cast<uint64_t>(slot) * a.state_stride;
}

} // namespace bz::BZ_LEVEL
