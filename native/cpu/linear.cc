#include "linear_kernels.h"
#include "stream.h"
#include "weight_pack.h"

extern "C" bz_status bz_linear(bz_stream *stream, const bz_linear_args *args) {
  BZ_CHECK_ARGS("linear", args);
  BZ_REQUIRE(stream != nullptr && args->weight != nullptr, BZ_EINVAL, "linear: stream or weight is NULL");
  const bz_weight &w = *args->weight;
  BZ_TRY(bz::check_linear(args, bz::shape_of(w), stream->mode == bz::Mode::plan));
  if (args->num_tokens == 0) return BZ_OK;
  const bz::LinearArgs a = {
      .num_tokens = args->num_tokens,
      .flags = args->flags,
      .weight = &w,
      .x = static_cast<const float *>(args->x.data),
      .bias = args->bias,
      .y = static_cast<float *>(args->y.data),
      .x_stride = args->x.stride,
      .y_stride = args->y.stride,
  };
  const bz::LinearKernels &kernels = *stream->kernels->linear;
  return bz::submit(stream, kernels.linear, a,
                    {.work = uint64_t{a.num_tokens} * w.n * w.c / 16,
                     .scratch_bytes = kernels.scratch_bytes(a, stream->num_threads),
                     .weight = &w,
                     .num_tokens = a.num_tokens});
}
