// Entry points of the ops that take no weight.
#include "op.h"

#include "../common/check_ops.h"
#include "stream.h"

#define BZ_ENTRY(op, count)                                                       \
  extern "C" bz_status bz_##op(bz_stream *stream, const bz_##op##_args *args) {   \
    BZ_REQUIRE(stream != nullptr, BZ_EINVAL, #op ": stream is NULL");             \
    BZ_TRY(bz::check_##op(args));                                                 \
    if (args->count == 0) return BZ_OK;                                           \
    return bz::submit(stream, [a = *args] { return bz::run(a); });                \
  }
BZ_MATRIX_OPS(BZ_ENTRY)
