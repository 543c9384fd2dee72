// bz_gated_act. Pieces of rows go to threads, so that one token is shared too.
#include "../kernels.h"
#include "vec.h"

namespace bz::BZ_LEVEL {

// erfc(z) for z >= 0 to 1.2e-7 of its value. Source: the Chebyshev fit in Press et al., Numerical Recipes, 6.2.
BZ_INLINE F erfc_positive(F z) {
  const F t = 1.0f / (1.0f + 0.5f * z);
  F p = set(0.17087277f);
  p = fma(p, t, set(-0.82215223f));
  p = fma(p, t, set(1.48851587f));
  p = fma(p, t, set(-1.13520398f));
  p = fma(p, t, set(0.27886807f));
  p = fma(p, t, set(-0.18628806f));
  p = fma(p, t, set(0.09678418f));
  p = fma(p, t, set(0.37409196f));
  p = fma(p, t, set(1.00002368f));
  p = fma(p, t, set(-1.26551223f));
  return t * exp(p - z * z);
}

struct Silu {
  BZ_INLINE F of(F x) { return x / (1.0f + exp(-x)); }
};
struct Gelu {
  BZ_INLINE F of(F x) {
    const F z = (x < 0.0f ? -x : x) * 0.70710678118654752f, tail = erfc_positive(z);
    return 0.5f * x * (x < 0.0f ? tail : 2.0f - tail);
  }
};
struct GeluTanh { // 0.5 x (1 + tanh(y)) = x / (1 + exp(-2y))
  BZ_INLINE F of(F x) { return x / (1.0f + exp(-1.5957691216057308f * fma(0.044715f * x * x, x, x))); }
};
struct Relu {
  BZ_INLINE F of(F x) { return max(x, F{}); }
};

template <class Act> static void activate(const float *gate, const float *up, float *y, uint64_t n) {
  uint64_t i = 0;
  for (; i + W <= n; i += W) store(y + i, Act::of(load(gate + i)) * load(up + i));
  if (i < n) store_first(y + i, n - i, Act::of(load_first(gate + i, n - i)) * load_first(up + i, n - i));
}

void gated_act(const bz_gated_act_args &a, Team &team) {
  static constexpr decltype(&activate<Silu>) ACTIVATE[] = {activate<Silu>, activate<Gelu>, activate<GeluTanh>,
                                                           activate<Relu>};
  constexpr uint64_t PIECE = 256;
  const uint64_t f = a.y.cols;
  const uint64_t pieces = (f + PIECE - 1) / PIECE;
  const Range mine = split(a.num_tokens * pieces, team);
  for (uint64_t item = mine.begin; item < mine.end; item++) {
    const uint64_t t = item / pieces, begin = item % pieces * PIECE;
    const uint64_t n = begin + PIECE <= f ? PIECE : f - begin;
    const float *gate = row_of(a.x, t) + begin;
    ACTIVATE[a.act](gate, gate + f, row_of(a.y, t) + begin, n);
  }
}

} // namespace bz::BZ_LEVEL
