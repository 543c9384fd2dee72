#include "../common/weight_args.h"
#include "matrix.h"
#include "stream.h"
#include "weight.h"

namespace bz {

static bz_status embedding(const bz_embedding_args &a) {
  const bz_weight &w = *a.weight;
  for (uint32_t t = 0; t < a.num_tokens; t++) {
    const int32_t id = a.ids[t];
    const bool is_there = id >= 0 && static_cast<uint32_t>(id) < w.n;
    if (a.row_status != nullptr) a.row_status[t] = is_there ? BZ_OK : BZ_EINVAL;
    else BZ_REQUIRE(is_there, BZ_EINVAL, "embedding: ids[%u] is %d, must be in [0, %u)", t, id, w.n);
    std::vector<float> y(w.c);
    const float *row = w.values.data() + (is_there ? uint64_t{w.c} * static_cast<uint32_t>(id) : 0);
    for (uint32_t c = 0; c < w.c && is_there; c++) y[c] = a.scale * row[c];
    write_row(a.y, t, y);
  }
  return BZ_OK;
}

} // namespace bz

extern "C" bz_status bz_embedding(bz_stream *stream, const bz_embedding_args *args) {
  BZ_CHECK_ARGS("embedding", args);
  BZ_REQUIRE(stream != nullptr && args->weight != nullptr, BZ_EINVAL, "embedding: stream or weight is NULL");
  BZ_TRY(bz::check_embedding(args, args->weight->shape(), stream->mode == bz::Mode::plan));
  return bz::submit(stream, [a = *args] { return bz::embedding(a); });
}
