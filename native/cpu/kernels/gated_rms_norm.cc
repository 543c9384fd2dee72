// bz_gated_rms_norm. A row belongs to one thread.
#include <cmath>

#include "../kernels.h"
#include "vec.h"

namespace bz::BZ_LEVEL {

BZ_INLINE F silu(F x) { return x / (1.0f + exp(-x)); }

// One group of n values. `is_last`: the gate comes after the norm.
static void norm_group(const float *x, const float *z, const float *w, float *y, uint64_t n, float eps, bool is_last) {
  F sum = {};
  uint64_t i = 0;
  for (; i + W <= n; i += W) {
    const F h = is_last ? load(x + i) : load(x + i) * silu(load(z + i));
    store(y + i, h);
    sum = fma(h, h, sum);
  }
  if (i < n) {
    const F h = is_last ? load_first(x + i, n - i) : load_first(x + i, n - i) * silu(load_first(z + i, n - i));
    store_first(y + i, n - i, h);
    sum = fma(h, h, sum);
  }
  const float scale = 1.0f / std::sqrt(sum_lanes(sum) / static_cast<float>(n) + eps);
  for (i = 0; i + W <= n; i += W) {
    const F out = load(y + i) * scale * load(w + i);
    store(y + i, is_last ? out * silu(load(z + i)) : out);
  }
  if (i < n) {
    const F out = load_first(y + i, n - i) * scale * load_first(w + i, n - i);
    store_first(y + i, n - i, is_last ? out * silu(load_first(z + i, n - i)) : out);
  }
}

void gated_rms_norm(const bz_gated_rms_norm_args &a, Team &team) {
  const Range rows = split(a.num_tokens, team);
  const uint64_t size = a.x.cols / a.num_groups;
  for (uint64_t t = rows.begin; t < rows.end; t++)
    for (uint64_t at = 0; at < a.x.cols; at += size)
      norm_group(row_of(a.x, t) + at, row_of(a.z, t) + at, a.w + at, row_of(a.y, t) + at, size, a.eps,
                 a.gate_last != 0);
}

} // namespace bz::BZ_LEVEL
