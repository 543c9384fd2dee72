#include "../common/weight_args.h"
#include "stream.h"
#include "weight.h"

namespace bz {

static bz_status embedding(const bz_embedding_args &a) {
  const bz_weight &w = *a.weight;
  for (uint32_t t = 0; t < a.num_tokens; t++) {
    const int32_t id = a.ids[t];
    BZ_REQUIRE(id >= 0 && static_cast<uint32_t>(id) < w.n, BZ_EINVAL, "embedding: ids[%u] is %d, must be in [0, %u)", t,
               id, w.n);
    const float *row = w.values.data() + uint64_t{w.c} * static_cast<uint32_t>(id);
    for (uint32_t c = 0; c < w.c; c++) a.y[t * a.y_stride + c] = a.scale * row[c];
  }
  return BZ_OK;
}

} // namespace bz

extern "C" bz_status bz_embedding(bz_stream *stream, const bz_embedding_args *args) {
  BZ_CHECK_ARGS("embedding", args);
  BZ_REQUIRE(args->weight != nullptr, BZ_EINVAL, "embedding: weight is NULL");
  BZ_TRY(bz::check_embedding(args, args->weight->c));
  return bz::submit(stream, [a = *args] { return bz::embedding(a); });
}
