// Rows of a packed weight, widened. One thread a token: a row is small.
#include "../common/weight_args.h"
#include "stream.h"
#include "weight_pack.h"

namespace bz {

static void embedding(const bz_embedding_args &a, Team &team) {
  const bz_weight &w = *a.weight;
  const Range mine = split(a.num_tokens, team);
  for (uint64_t t = mine.begin; t < mine.end; t++) {
    const int32_t id = a.ids[t];
    if (id < 0 || static_cast<uint32_t>(id) >= w.n)
      return team.fail(BZ_EINVAL, "embedding: ids[%u] is %d, must be in [0, %u)", static_cast<uint32_t>(t), id, w.n);
    float *y = a.y + t * a.y_stride;
    unpack_row(w, static_cast<uint32_t>(id), y);
    if (a.scale != 1.0f)
      for (uint32_t c = 0; c < w.c; c++) y[c] *= a.scale;
  }
}

} // namespace bz

extern "C" bz_status bz_embedding(bz_stream *stream, const bz_embedding_args *args) {
  BZ_CHECK_ARGS("embedding", args);
  BZ_REQUIRE(stream != nullptr && args->weight != nullptr, BZ_EINVAL, "embedding: stream or weight is NULL");
  BZ_TRY(bz::check_embedding(args, args->weight->c));
  if (args->num_tokens == 0) return BZ_OK;
  return bz::submit(stream, bz::embedding, *args, {.work = uint64_t{args->num_tokens} * args->weight->c * 4});
}
