// What ops do to a token before it is cached.
#pragma once
#include <cmath>

#include "../team.h"
#include "vec.h"

namespace bz::BZ_LEVEL {

// y may be x.
static inline void normalize(const float *x, const float *w, uint32_t d, float eps, float *y) {
  F sum = {};
  uint32_t i = 0;
  for (; i + W <= d; i += W) sum = fma(load(x + i), load(x + i), sum);
  if (i < d) {
    const F rest = load_first(x + i, d - i);
    sum = fma(rest, rest, sum);
  }
  const float scale = 1.0f / std::sqrt(sum_lanes(sum) / static_cast<float>(d) + eps);
  for (i = 0; i < d; i++) y[i] = x[i] * scale * w[i];
}

static inline void rotate(float *__restrict x, const float *__restrict cos_sin, uint32_t rot_dim) {
  const uint32_t half = rot_dim / 2;
  for (uint32_t i = 0; i < half; i++) {
    const float c = cos_sin[i], s = cos_sin[half + i], a = x[i], b = x[i + half];
    x[i] = a * c - b * s;
    x[i + half] = b * c + a * s;
  }
}

static inline void rotate_interleaved(float *__restrict x, const float *__restrict cos_sin, uint32_t rot_dim) {
  const uint32_t half = rot_dim / 2;
  for (uint32_t i = 0; i < half; i++) {
    const float c = cos_sin[i], s = cos_sin[half + i], a = x[2 * i], b = x[2 * i + 1];
    x[2 * i] = a * c - b * s;
    x[2 * i + 1] = b * c + a * s;
  }
}

// Where tokens belong: in the table of positions and in the cache. Either may be absent (NULL).
struct TokenPlaces {
  const char *op;
  const int32_t *positions, *slots;
  uint32_t num_positions;
  int64_t num_slots;
};

static inline bool fits(const TokenPlaces &a, uint64_t token) {
  if (a.positions != nullptr && static_cast<uint32_t>(a.positions[token]) >= a.num_positions) return false;
  return a.slots == nullptr || (a.slots[token] >= -1 && a.slots[token] < a.num_slots);
}

// Without a status for each row one that does not fit fails the op, before anything is written.
static inline bool all_fit(const TokenPlaces &a, uint32_t num_tokens, Team &team) {
  for (uint32_t t = 0; t < num_tokens; t++) {
    if (fits(a, t)) continue;
    if (a.positions != nullptr && static_cast<uint32_t>(a.positions[t]) >= a.num_positions)
      team.fail(BZ_EINVAL, "%s: positions[%u] is %d, the table has %u", a.op, t, a.positions[t], a.num_positions);
    else
      team.fail(BZ_EINVAL, "%s: slots[%u] is %d, the cache has %lld", a.op, t, a.slots[t],
                static_cast<long long>(a.num_slots));
    return false;
  }
  return true;
}

// Heads of tokens in order, without a division each.
struct HeadCursor {
  uint64_t token;
  uint32_t head, heads;

  HeadCursor(uint64_t item, uint32_t heads)
      : token(item / heads), head(static_cast<uint32_t>(item % heads)), heads(heads) {}

  void advance() {
    if (++head < heads) return;
    head = 0;
    token++;
  }
};

} // namespace bz::BZ_LEVEL
