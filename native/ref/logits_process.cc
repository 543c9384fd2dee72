#include <cmath>
#include <vector>

#include "op.h"

#define REQUIRE_ID(id, what)                                                   \
  BZ_REQUIRE((id) >= 0 && static_cast<uint32_t>(id) < a.logits.cols, BZ_EINVAL, \
             "logits_process: %s %d is not in [0, %u)", what, id, a.logits.cols)

static bz_status allow_and_edit(const bz_logits_process_args &a, uint32_t r, float *l) {
  if (a.bitmask != nullptr && a.bitmask_row[r] >= 0) {
    const uint64_t words = (uint64_t{a.logits.cols} + 31) / 32;
    const uint32_t *mask = a.bitmask + static_cast<uint64_t>(a.bitmask_row[r]) * words;
    for (uint32_t i = 0; i < a.logits.cols; i++) if ((mask[i / 32] >> (i % 32) & 1) == 0) l[i] = -INFINITY;
  }
  if (a.allow_start != nullptr && a.allow_start[r] < a.allow_start[r + 1]) {
    std::vector<bool> allowed(a.logits.cols, false);
    for (int32_t i = a.allow_start[r]; i < a.allow_start[r + 1]; i++) {
      REQUIRE_ID(a.allow_ids[i], "allowed id");
      allowed[static_cast<size_t>(a.allow_ids[i])] = true;
    }
    for (uint32_t i = 0; i < a.logits.cols; i++) if (!allowed[i]) l[i] = -INFINITY;
  }
  if (a.edit_start == nullptr) return BZ_OK;
  for (int32_t i = a.edit_start[r]; i < a.edit_start[r + 1]; i++) {
    REQUIRE_ID(a.edit_ids[i], "edit id");
    l[a.edit_ids[i]] += a.edit_values[i];
  }
  return BZ_OK;
}

static bz_status penalize(const bz_logits_process_args &a, uint32_t r, float *l) {
  if (a.token_ids == nullptr) return BZ_OK;
  const float repetition = a.repetition == nullptr ? 1 : a.repetition[r];
  const float frequency = a.frequency == nullptr ? 0 : a.frequency[r];
  const float presence = a.presence == nullptr ? 0 : a.presence[r];
  if (repetition == 1 && frequency == 0 && presence == 0) return BZ_OK;
  const int32_t *tokens = a.token_ids + static_cast<uint64_t>(a.token_row[r]) * a.token_stride;
  std::vector<int32_t> in_output(a.logits.cols, 0);
  std::vector<bool> seen(a.logits.cols, false);
  for (int32_t i = 0; i < a.num_tokens_of[r]; i++) {
    REQUIRE_ID(tokens[i], "token id");
    seen[static_cast<size_t>(tokens[i])] = true;
    if (i >= a.num_prompt_of[r]) in_output[static_cast<size_t>(tokens[i])]++;
  }
  for (uint32_t i = 0; i < a.logits.cols; i++) {
    if (!seen[i]) continue;
    l[i] = l[i] > 0 ? l[i] / repetition : l[i] * repetition;
    l[i] -= frequency * static_cast<float>(in_output[i]);
    l[i] -= presence * (in_output[i] > 0 ? 1.0f : 0.0f);
  }
  return BZ_OK;
}

static bz_status process_row(const bz_logits_process_args &a, uint32_t r) {
  auto *l = static_cast<float *>(a.logits.data) + r * a.logits.stride;
  for (uint32_t i = 0; a.row_status != nullptr && i < a.logits.cols; i++)
    BZ_REQUIRE(std::isfinite(l[i]), BZ_ENUMERIC, "logits_process: logit %u of row %u is %g", i, r,
               static_cast<double>(l[i]));
  BZ_TRY(allow_and_edit(a, r, l));
  return penalize(a, r, l);
}

bz_status bz::run(const bz_logits_process_args &a) {
  for (uint32_t r = 0; r < a.num_requests; r++) {
    const bz_status status = process_row(a, r);
    if (a.row_status != nullptr) a.row_status[r] = status;
    else BZ_TRY(status);
  }
  return BZ_OK;
}
