// Rows of a packed weight, widened. One thread a token: a row is small.
#include <cstring>

#include "matrix.h"
#include "stream.h"
#include "weight_pack.h"

namespace bz {

static void embedding(const bz_embedding_args &a, Team &team) {
  const bz_weight &w = *a.weight;
  const Range mine = split(a.num_tokens, team);
  for (uint64_t t = mine.begin; t < mine.end; t++) {
    const int32_t id = a.ids[t];
    const bool is_there = static_cast<uint32_t>(id) < w.n;
    float *y = row_of(a.y, t);
    if (a.row_status != nullptr) a.row_status[t] = is_there ? BZ_OK : BZ_EINVAL;
    if (!is_there) {
      std::memset(y, 0, uint64_t{w.c} * 4);
      if (a.row_status == nullptr)
        team.fail(BZ_EINVAL, "embedding: ids[%u] is %d, must be in [0, %u)", static_cast<uint32_t>(t), id, w.n);
      continue;
    }
    unpack_row(held(w), static_cast<uint32_t>(id), y);
    if (a.scale != 1.0f)
      for (uint32_t c = 0; c < w.c; c++) y[c] *= a.scale;
  }
}

} // namespace bz

extern "C" bz_status bz_embedding(bz_stream *stream, const bz_embedding_args *args) {
  BZ_CHECK_ARGS("embedding", args);
  BZ_REQUIRE(stream != nullptr && args->weight != nullptr, BZ_EINVAL, "embedding: stream or weight is NULL");
  const bz_weight &w = *args->weight;
  BZ_TRY(bz::check_embedding(args, bz::shape_of(w), stream->mode == bz::Mode::plan));
  if (args->num_tokens == 0) return BZ_OK;
  return bz::submit(stream, bz::embedding, *args, {.work = uint64_t{args->num_tokens} * w.c * 4});
}
