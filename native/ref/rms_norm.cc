#include <cmath>

#include "matrix.h"
#include "op.h"

bz_status bz::run(const bz_rms_norm_args &a) {
  const uint32_t c = a.x.cols;
  for (uint64_t t = 0; t < a.num_tokens; t++) {
    std::vector<float> h = bz::read_row(a.x, t);
    if (a.residual.data != nullptr) {
      const std::vector<float> residual = bz::read_row(a.residual, t);
      for (uint32_t i = 0; i < c; i++) h[i] += residual[i];
      bz::write_row(a.residual, t, h);
    }
    double sum = 0;
    for (uint32_t i = 0; i < c; i++) sum += static_cast<double>(h[i]) * h[i];
    const double scale = 1 / std::sqrt(sum / c + a.eps);
    for (uint32_t i = 0; i < c; i++)
      h[i] = static_cast<float>(h[i] * scale * (static_cast<double>(a.w_offset) + a.w[i]));
    bz::write_row(a.y, t, h);
  }
  return BZ_OK;
}
