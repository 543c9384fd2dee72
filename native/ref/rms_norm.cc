#include <cmath>

#include "../common/check_ops.h"
#include "stream.h"

static bz_status run(const bz_rms_norm_args &a) {
  for (uint64_t t = 0; t < a.num_tokens; t++) {
    const float *x = a.x + t * a.x_stride;
    float *residual = a.residual == nullptr ? nullptr : a.residual + t * a.residual_stride;
    float *y = a.y + t * a.y_stride;
    double sum = 0;
    for (uint32_t i = 0; i < a.c; i++) {
      const float h = residual == nullptr ? x[i] : x[i] + residual[i];
      if (residual != nullptr) residual[i] = h;
      sum += static_cast<double>(h) * h;
    }
    const double scale = 1 / std::sqrt(sum / a.c + a.eps);
    for (uint32_t i = 0; i < a.c; i++) {
      const float h = residual == nullptr ? x[i] : residual[i];
      y[i] = static_cast<float>(h * scale * (static_cast<double>(a.w_offset) + a.w[i]));
    }
  }
  return BZ_OK;
}

extern "C" bz_status bz_rms_norm(bz_stream *stream, const bz_rms_norm_args *args) {
  BZ_TRY(bz::check_rms_norm(args));
  return bz::submit(stream, [a = *args] { return run(a); });
}
