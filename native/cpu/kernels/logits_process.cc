// bz_logits_process. A row belongs to one thread. What a row does not ask for costs nothing, but for one pass that
// looks whether its logits are finite where the caller wants a status for each row.
#include <cmath>

#include "../kernels.h"
#include "finite.h"

namespace bz::BZ_LEVEL {

typedef const bz_logits_process_args Args;

static void forbid(float *l, uint64_t n) {
  uint64_t i = 0;
  for (; i + W <= n; i += W) store(l + i, set(-INFINITY));
  for (; i < n; i++) l[i] = -INFINITY;
}

// A row that fails is the caller's to deal with where there is a status for each row; else it fails the call.
static bool is_token(Args &a, int32_t id, const char *what, Team &team) {
  if (static_cast<uint32_t>(id) < a.logits.cols) return true;
  if (a.row_status == nullptr)
    team.fail(BZ_EINVAL, "logits_process: %s %d is not in [0, %u)", what, id, a.logits.cols);
  return false;
}

static void apply_bitmask(const uint32_t *mask, float *l, uint64_t n) {
  for (uint64_t begin = 0; begin < n; begin += 32) {
    const uint64_t count = n - begin < 32 ? n - begin : 32;
    const uint32_t word = mask[begin / 32];
    if (word == 0xffffffffu) continue;
    if (word == 0) {
      forbid(l + begin, count);
      continue;
    }
    for (uint64_t i = 0; i < count; i++) if ((word >> i & 1) == 0) l[begin + i] = -INFINITY;
  }
}

// `saved` is working memory for the row.
static bool apply_allowed(Args &a, const int32_t *ids, int32_t count, float *l, float *saved, Team &team) {
  for (int32_t i = 0; i < count; i++) if (!is_token(a, ids[i], "allowed id", team)) return false;
  std::memcpy(saved, l, uint64_t{a.logits.cols} * 4);
  forbid(l, a.logits.cols);
  for (int32_t i = 0; i < count; i++) l[ids[i]] = saved[ids[i]];
  return true;
}

// `counts` is working memory for the vocabulary; only the entries of the row's tokens are used.
static bool penalize(Args &a, uint32_t r, float *l, int32_t *counts, Team &team) {
  const float repetition = a.repetition == nullptr ? 1 : a.repetition[r];
  const float frequency = a.frequency == nullptr ? 0 : a.frequency[r];
  const float presence = a.presence == nullptr ? 0 : a.presence[r];
  if (repetition == 1 && frequency == 0 && presence == 0) return true;
  const int32_t *tokens = a.token_ids + static_cast<uint64_t>(a.token_row[r]) * a.token_stride;
  const int32_t n = a.num_tokens_of[r];
  for (int32_t i = 0; i < n; i++) {
    if (!is_token(a, tokens[i], "token id", team)) return false;
    counts[tokens[i]] = 0;
  }
  for (int32_t i = a.num_prompt_of[r] > 0 ? a.num_prompt_of[r] : 0; i < n; i++) counts[tokens[i]]++;
  for (int32_t i = 0; i < n; i++) {
    const int32_t id = tokens[i], count = counts[id];
    if (count < 0) continue; // done
    counts[id] = -1;
    float x = l[id] > 0 ? l[id] / repetition : l[id] * repetition;
    const float by_count = frequency * static_cast<float>(count);
    x = x - by_count;
    l[id] = x - presence * (count > 0 ? 1.0f : 0.0f);
  }
  return true;
}

static bz_status process_row(Args &a, uint32_t r, std::byte *scratch, Team &team) {
  float *l = row_of(a.logits, r);
  if (a.row_status != nullptr && !is_finite(l, a.logits.cols)) return BZ_ENUMERIC;
  if (a.bitmask != nullptr && a.bitmask_row[r] >= 0) {
    const uint64_t words = (uint64_t{a.logits.cols} + 31) / 32;
    apply_bitmask(a.bitmask + static_cast<uint64_t>(a.bitmask_row[r]) * words, l, a.logits.cols);
  }
  if (a.allow_start != nullptr && a.allow_start[r] < a.allow_start[r + 1]) {
    const int32_t begin = a.allow_start[r];
    float *saved = reinterpret_cast<float *>(scratch);
    if (!apply_allowed(a, a.allow_ids + begin, a.allow_start[r + 1] - begin, l, saved, team)) return BZ_EINVAL;
  }
  if (a.edit_start != nullptr) {
    for (int32_t i = a.edit_start[r]; i < a.edit_start[r + 1]; i++) {
      if (!is_token(a, a.edit_ids[i], "edit id", team)) return BZ_EINVAL;
      l[a.edit_ids[i]] += a.edit_values[i];
    }
  }
  const bool fits = a.token_ids == nullptr || penalize(a, r, l, reinterpret_cast<int32_t *>(scratch), team);
  return fits ? BZ_OK : BZ_EINVAL;
}

void logits_process(Args &a, Team &team) {
  std::byte *scratch = team.scratch() + team.tid * ((uint64_t{a.logits.cols} * 4 + 63) / 64 * 64);
  for (uint32_t r = team.claim(); r < a.num_requests; r = team.claim()) {
    const bz_status status = process_row(a, r, scratch, team);
    if (a.row_status != nullptr) a.row_status[r] = status;
  }
}

} // namespace bz::BZ_LEVEL
