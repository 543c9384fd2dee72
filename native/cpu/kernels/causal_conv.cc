// bz_causal_conv. Threads take channels of a request; the inputs that a row sees stay in registers.
#include "../kernels.h"
#include "requests.h"
#include "vec.h"

namespace bz::BZ_LEVEL {

// Channels [at, at + n), n <= W, of one request.
template <uint32_t TAPS> static void convolve(const bz_causal_conv_args &a, uint32_t request, uint64_t at, uint64_t n) {
  const uint64_t cols = a.x.cols;
  const auto get = [n](const float *p) { return n == W ? load(p) : load_first(p, n); };
  const auto put = [n](float *p, F v) { n == W ? store(p, v) : store_first(p, n, v); };
  F w[TAPS], seen[TAPS - 1];
  for (uint32_t k = 0; k < TAPS; k++) w[k] = get(a.w + k * cols + at);
  const int32_t read = a.read_slots[request];
  for (uint32_t k = 0; k < TAPS - 1; k++) seen[k] = read < 0 ? F{} : get(slot_of(a, read) + k * cols + at);
  const F bias = a.bias == nullptr ? F{} : get(a.bias + at);
  for (int32_t t = a.query_start[request]; t < a.query_start[request + 1]; t++) {
    const F x = get(row_of(a.x, static_cast<uint64_t>(t)) + at);
    F sum = bias;
#pragma GCC unroll 8
    for (uint32_t k = 0; k < TAPS - 1; k++) sum = fma(w[k], seen[k], sum);
    sum = fma(w[TAPS - 1], x, sum);
#pragma GCC unroll 8
    for (uint32_t k = 0; k + 2 < TAPS; k++) seen[k] = seen[k + 1];
    seen[TAPS - 2] = x;
    put(row_of(a.y, static_cast<uint64_t>(t)) + at, a.silu != 0 ? sum / (1.0f + exp(-sum)) : sum);
  }
  float *state = slot_of(a, a.write_slots[request]);
  for (uint32_t k = 0; k < TAPS - 1; k++) put(state + k * cols + at, seen[k]);
}

void causal_conv(const bz_causal_conv_args &a, Team &team) {
  static constexpr decltype(&convolve<2>) CONVOLVE[] = {convolve<2>, convolve<3>, convolve<4>, convolve<5>,
                                                        convolve<6>, convolve<7>, convolve<8>};
  if (!check_requests("causal_conv", a, team)) return;
  clear_padding(a, team);
  const uint64_t cols = a.x.cols, pieces = (cols + W - 1) / W;
  const Range mine = split(a.num_requests * pieces, team);
  for (uint64_t item = mine.begin; item < mine.end; item++) {
    const uint32_t request = static_cast<uint32_t>(item / pieces);
    if (a.query_start[request] == a.query_start[request + 1]) continue;
    const uint64_t at = item % pieces * W;
    CONVOLVE[a.num_taps - 2](a, request, at, at + W <= cols ? W : cols - at);
  }
}

} // namespace bz::BZ_LEVEL
