// Ops that move or add whole rows.
#include <cstring>

#include "../common/check_ops.h"
#include "stream.h"

static bz_status gather(const bz_gather_rows_args &a) {
  for (uint32_t r = 0; r < a.num_rows; r++) {
    const int32_t row = a.rows[r];
    BZ_REQUIRE(row >= 0 && static_cast<uint32_t>(row) < a.num_source_rows, BZ_EINVAL,
               "gather_rows: rows[%u] is %d, x has %u rows", r, row, a.num_source_rows);
    std::memcpy(a.y + r * a.y_stride, a.x + static_cast<uint64_t>(row) * a.x_stride, uint64_t{a.c} * 4);
  }
  return BZ_OK;
}

static bz_status add(const bz_add_args &a) {
  for (uint64_t t = 0; t < a.num_tokens; t++)
    for (uint32_t i = 0; i < a.c; i++) a.y[t * a.y_stride + i] += a.scale * a.x[t * a.x_stride + i];
  return BZ_OK;
}

extern "C" bz_status bz_gather_rows(bz_stream *stream, const bz_gather_rows_args *args) {
  BZ_TRY(bz::check_gather_rows(args));
  return bz::submit(stream, [a = *args] { return gather(a); });
}

extern "C" bz_status bz_add(bz_stream *stream, const bz_add_args *args) {
  BZ_TRY(bz::check_add(args));
  return bz::submit(stream, [a = *args] { return add(a); });
}
