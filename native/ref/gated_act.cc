#include <cmath>

#include "matrix.h"
#include "op.h"

static double activate(double x, uint32_t act) {
  switch (act) {
    case BZ_ACT_SILU: return x / (1 + std::exp(-x));
    case BZ_ACT_GELU: return 0.5 * x * (1 + std::erf(x * M_SQRT1_2));
    case BZ_ACT_GELU_TANH: return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    default: return x > 0 ? x : 0;
  }
}

bz_status bz::run(const bz_gated_act_args &a) {
  const uint32_t f = a.y.cols;
  for (uint64_t t = 0; t < a.num_tokens; t++) {
    const std::vector<float> x = bz::read_row(a.x, t);
    std::vector<float> y(f);
    for (uint32_t i = 0; i < f; i++) y[i] = static_cast<float>(activate(x[i], a.act) * x[f + i]);
    bz::write_row(a.y, t, y);
  }
  return BZ_OK;
}
