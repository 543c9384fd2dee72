// bz_selective_scan. Threads take heads of a request, whose state stays in the cache from token to token. Lanes are the
// values of a channel's state; the steps are taken one after the other, so that a token's bits do not depend on where a
// prompt is cut.
#include <cmath>

#include "../kernels.h"
#include "requests.h"
#include "vec.h"

namespace bz::BZ_LEVEL {

static float softplus(float x) { return x > 20.0f ? x : std::log1p(std::exp(x)); }
static float silu(float x) { return x / (1.0f + std::exp(-x)); }

struct Head {
  uint64_t index;
  uint64_t group; // first column of its B and C
  float *state;   // [P, N]
};

// One channel: state = decay * state + dx * b; the sum of c * state. `decay(n, rest)`: of the values from n on.
template <class Decay>
BZ_INLINE float step(float *state, const float *b, const float *c, float dx, uint64_t size, Decay decay) {
  F sum = {};
  uint64_t n = 0;
  for (; n + W <= size; n += W) {
    const F s = fma(set(dx), load(b + n), decay(n, W) * load(state + n));
    store(state + n, s);
    sum = fma(load(c + n), s, sum);
  }
  if (n < size) {
    const uint64_t rest = size - n;
    const F s = fma(set(dx), load_first(b + n, rest), decay(n, rest) * load_first(state + n, rest));
    store_first(state + n, rest, s);
    sum = fma(load_first(c + n, rest), s, sum);
  }
  return sum_lanes(sum);
}

static void scan_token(const bz_selective_scan_args &a, const Head &head, uint64_t t) {
  const uint64_t h = head.index, channels = a.head_dim, size = a.state_dim, first = h * channels;
  const float *x = row_of(a.x, t) + first, *b = row_of(a.b, t) + head.group, *c = row_of(a.c, t) + head.group;
  float *y = row_of(a.y, t) + first;
  const float bias = a.dt_bias == nullptr ? 0 : a.dt_bias[h], skip = a.skip == nullptr ? 0 : a.skip[h];
  const float raw = softplus(row_of(a.dt, t)[h] + bias), low = raw > a.dt_min ? raw : a.dt_min;
  const float dt = raw != raw ? raw : low < a.dt_max ? low : a.dt_max;
  const float *decays = row_of(a.a, h);
  const bool is_shared = a.a.cols == 1;
  const F shared = set(is_shared ? std::exp(dt * decays[0]) : 0.0f);
  for (uint64_t p = 0; p < channels; p++) {
    float *state = head.state + p * size;
    const float in = x[p], dx = dt * in;
    const float sum = is_shared
      ? step(state, b, c, dx, size, [shared](uint64_t, uint64_t) { return shared; })
      : step(state, b, c, dx, size, [decays, dt](uint64_t n, uint64_t rest) {
          return exp((rest == W ? load(decays + n) : load_first(decays + n, rest)) * dt);
        });
    const float out = sum + skip * in;
    y[p] = a.z.data == nullptr ? out : out * silu(row_of(a.z, t)[first + p]);
  }
}

static void scan_head(const bz_selective_scan_args &a, uint32_t request, uint64_t h) {
  const uint64_t floats = uint64_t{a.head_dim} * a.state_dim;
  const int32_t read = a.read_slots[request], write = a.write_slots[request];
  const Head head{h, h / (a.num_heads / a.num_groups) * a.state_dim, slot_of(a, write) + h * floats};
  if (read < 0) std::memset(head.state, 0, floats * 4);
  else if (read != write) std::memcpy(head.state, slot_of(a, read) + h * floats, floats * 4);
  for (int32_t t = a.query_start[request]; t < a.query_start[request + 1]; t++)
    scan_token(a, head, static_cast<uint64_t>(t));
}

void selective_scan(const bz_selective_scan_args &a, Team &team) {
  if (!check_requests("selective_scan", a, team)) return;
  clear_padding(a, team);
  const Range mine = split(uint64_t{a.num_requests} * a.num_heads, team);
  for (uint64_t item = mine.begin; item < mine.end; item++) {
    const uint32_t request = static_cast<uint32_t>(item / a.num_heads);
    if (a.query_start[request] < a.query_start[request + 1]) scan_head(a, request, item % a.num_heads);
  }
}

} // namespace bz::BZ_LEVEL
