// bz_logprobs. A row belongs to one thread.
#include <cmath>

#include "../kernels.h"
#include "../sampling_scratch.h"
#include "select.h"

namespace bz::BZ_LEVEL {

// Sum of exp(l - max): float32 inside a piece, float64 over pieces.
static double sum_exp(const float *l, uint64_t n, float max) {
  constexpr uint64_t PIECE = 16 * W;
  double whole = 0;
  for (uint64_t begin = 0; begin < n; begin += PIECE) {
    const uint64_t end = begin + PIECE < n ? begin + PIECE : n;
    F sum = {};
    for (uint64_t i = begin; i < end; i += W)
      sum = sum + exp(load_lanes(l, i, end) - max);
    whole += static_cast<double>(sum_lanes(sum));
  }
  return whole;
}

static int32_t count_reaching(const float *l, uint64_t n, float value) {
  int32_t count = 0;
  for (uint64_t i = 0; i < n; i += W) {
    const uint32_t hits = lane_bits((i + W <= n ? load(l + i) : load_first(l + i, n - i, NAN)) >= value);
    count += __builtin_popcount(hits);
  }
  return count;
}

// The k largest keys in descending order.
static void largest(const float *l, uint64_t n, uint64_t k, const SamplingScratch &s) {
  uint64_t count = collect(l, n, s.sections, reached_by(s.sections, n, k, s.keys), s.keys);
  for (uint64_t i = 0; count < k && i < n; i++) // -inf and NaN are not collected, but may be asked for
    if (!(l[i] > -INFINITY)) s.keys[count++] = sort_key(l[i], static_cast<uint32_t>(i));
  select_largest(s.keys, count, k);
  sort_descending(s.keys, k);
}

static void logprobs_row(const bz_logprobs_args &a, uint64_t r, const SamplingScratch &s) {
  const float *l = row_of(a.logits, r);
  const uint64_t n = a.logits.cols, k = a.num_top;
  const float max = row_max(l, n, s.sections).max;
  const double whole = a.mode == BZ_LOGPROBS_LOGITS ? 0 : static_cast<double>(max) + std::log(sum_exp(l, n, max));
  const float chosen = l[a.ids[r]];
  a.out_logprob[r] = static_cast<float>(chosen - whole);
  a.out_rank[r] = count_reaching(l, n, chosen);
  if (k == 0) return;
  largest(l, n, k, s);
  for (uint64_t i = 0; i < k; i++) {
    const uint32_t id = key_id(s.keys[i]);
    a.out_top_ids[r * k + i] = static_cast<int32_t>(id);
    a.out_top_logprobs[r * k + i] = static_cast<float>(l[id] - whole);
  }
}

void logprobs(const bz_logprobs_args &a, Team &team) {
  std::byte *mine = team.scratch() + team.tid * sampling_scratch_bytes(a.logits.cols);
  const SamplingScratch scratch = sampling_scratch(mine, a.logits.cols);
  for (uint32_t r = team.claim(); r < a.num_requests; r = team.claim()) {
    if (a.ids[r] < 0 || static_cast<uint32_t>(a.ids[r]) >= a.logits.cols)
      team.fail(BZ_EINVAL, "logprobs: ids[%u] is %d, not in [0, %u)", r, a.ids[r], a.logits.cols);
    else logprobs_row(a, r, scratch);
  }
}

} // namespace bz::BZ_LEVEL
