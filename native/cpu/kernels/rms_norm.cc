// bz_rms_norm. A row belongs to one thread; two passes over it, the second from the first-level cache.
#include <cmath>

#include "../kernels.h"
#include "vec.h"

namespace bz::BZ_LEVEL {

constexpr uint32_t SUMS = 4; // independent partial sums, to keep the adders busy

// h = x + residual, stored to residual; the sum of h^2. residual may be NULL.
static float sum_squares(const float *x, float *residual, uint64_t c) {
  F sums[SUMS] = {};
  uint64_t i = 0;
  const auto step = [&](uint64_t at, F &sum) {
    F h = load(x + at);
    if (residual != nullptr) store(residual + at, h = h + load(residual + at));
    sum = fma(h, h, sum);
  };
  for (; i + SUMS * W <= c; i += SUMS * W)
    for (uint32_t j = 0; j < SUMS; j++) step(i + j * W, sums[j]);
  for (; i + W <= c; i += W) step(i, sums[0]);
  if (i < c) {
    F h = load_first(x + i, c - i);
    if (residual != nullptr) store_first(residual + i, c - i, h = h + load_first(residual + i, c - i));
    sums[1] = fma(h, h, sums[1]);
  }
  return sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

void rms_norm(const bz_rms_norm_args &a, Team &team) {
  const Range rows = split(a.num_tokens, team);
  const uint64_t c = a.x.cols;
  for (uint64_t t = rows.begin; t < rows.end; t++) {
    const float *x = row_of(a.x, t);
    float *residual = a.residual.data == nullptr ? nullptr : row_of(a.residual, t);
    float *y = row_of(a.y, t);
    const float scale = 1.0f / std::sqrt(sum_squares(x, residual, c) / static_cast<float>(c) + a.eps);
    const float *h = residual == nullptr ? x : residual;
    uint64_t i = 0;
    for (; i + W <= c; i += W) store(y + i, load(h + i) * scale * (load(a.w + i) + a.w_offset));
    if (i < c) store_first(y + i, c - i, load_first(h + i, c - i) * scale * (load_first(a.w + i, c - i) + a.w_offset));
  }
}

} // namespace bz::BZ_LEVEL
