#include "../common/weight_args.h"
#include "matrix.h"
#include "stream.h"
#include "weight.h"

namespace bz {

static bz_status linear(const bz_linear_args &a) {
  const bz_weight &w = *a.weight;
  for (uint32_t t = 0; t < a.num_tokens; t++) {
    const std::vector<float> x = read_row(a.x, t);
    std::vector<float> y = read_row(a.y, t);
    for (uint32_t n = 0; n < w.n; n++) {
      const float *row = w.values.data() + uint64_t{n} * w.c;
      // In float64, so that a test measures the other library's error alone.
      double sum = a.bias != nullptr ? a.bias[n] : 0;
      for (uint32_t c = 0; c < w.c; c++) sum += static_cast<double>(x[c]) * row[c];
      y[n] = static_cast<float>(a.flags & BZ_LINEAR_ACCUMULATE ? y[n] + sum : sum);
    }
    write_row(a.y, t, y);
  }
  return BZ_OK;
}

} // namespace bz

extern "C" bz_status bz_linear(bz_stream *stream, const bz_linear_args *args) {
  BZ_CHECK_ARGS("linear", args);
  BZ_REQUIRE(stream != nullptr && args->weight != nullptr, BZ_EINVAL, "linear: stream or weight is NULL");
  BZ_TRY(bz::check_linear(args, args->weight->shape(), stream->mode == bz::Mode::plan));
  return bz::submit(stream, [a = *args] { return bz::linear(a); });
}
