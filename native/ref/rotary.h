// What ops do to a token before it is cached.
#pragma once
#include <cmath>

#include "../common/status.h"

namespace bz {

inline void normalize(float *x, const float *w, uint32_t d, float eps) {
  double sum = 0;
  for (uint32_t i = 0; i < d; i++) sum += static_cast<double>(x[i]) * x[i];
  const double scale = 1 / std::sqrt(sum / d + eps);
  for (uint32_t i = 0; i < d; i++) x[i] = static_cast<float>(x[i] * scale * w[i]);
}

inline void rotate(float *x, const float *cos_sin, uint32_t rot_dim, bool interleaved) {
  const uint32_t half = rot_dim / 2;
  for (uint32_t i = 0; i < half; i++) {
    float &first = interleaved ? x[2 * i] : x[i];
    float &second = interleaved ? x[2 * i + 1] : x[i + half];
    const double c = cos_sin[i], s = cos_sin[half + i], a = first, b = second;
    first = static_cast<float>(a * c - b * s);
    second = static_cast<float>(b * c + a * s);
  }
}

// Whether a token has its place in the table of positions and in the cache; either may be absent.
struct TokenPlace {
  const char *op;
  const int32_t *positions, *slots; // NULL: none
  uint32_t num_positions;
  int64_t num_slots;
};
inline bz_status check_token(const TokenPlace &a, uint32_t t) {
  if (a.positions != nullptr)
    BZ_REQUIRE(a.positions[t] >= 0 && static_cast<uint32_t>(a.positions[t]) < a.num_positions, BZ_EINVAL,
               "%s: positions[%u] is %d, the table has %u", a.op, t, a.positions[t], a.num_positions);
  if (a.slots != nullptr)
    BZ_REQUIRE(a.slots[t] >= -1 && a.slots[t] < a.num_slots, BZ_EINVAL,
               "%s: slots[%u] is %d, the cache has %lld", a.op, t, a.slots[t], static_cast<long long>(a.num_slots));
  return BZ_OK;
}

// Runs `token` for each token that has its place; without row_status all of them must.
template <class Run>
bz_status for_tokens(const TokenPlace &place, uint32_t num_tokens, bz_status *row_status, Run run) {
  for (uint32_t t = 0; t < num_tokens && row_status == nullptr; t++) BZ_TRY(check_token(place, t));
  for (uint32_t t = 0; t < num_tokens; t++) {
    const bz_status status = check_token(place, t);
    if (row_status != nullptr) row_status[t] = status;
    if (status == BZ_OK) run(t);
  }
  return BZ_OK;
}

} // namespace bz
