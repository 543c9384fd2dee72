#include "../common/weight_args.h"
#include "linear_kernels.h"
#include "stream.h"

extern "C" bz_status bz_linear(bz_stream *stream, const bz_linear_args *args) {
  BZ_CHECK_ARGS("linear", args);
  BZ_REQUIRE(stream != nullptr && args->weight != nullptr, BZ_EINVAL, "linear: stream or weight is NULL");
  const bz_weight &w = *args->weight;
  BZ_TRY(bz::check_linear(args, w.n, w.c));
  if (args->num_tokens == 0) return BZ_OK;
  const bz::LinearKernels &kernels = *stream->kernels->linear;
  return bz::submit(stream, kernels.linear, *args,
                    {.work = uint64_t{args->num_tokens} * w.n * w.c / 16,
                     .scratch_bytes = kernels.scratch_bytes(*args, stream->num_threads),
                     .weight = &w,
                     .num_tokens = args->num_tokens});
}
