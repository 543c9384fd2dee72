#include "held_weight.h"
#include "linear_kernels.h"
#include "stream.h"

namespace bz {

// A product with a weight whose columns are in another order: x is put in that order first.
struct OrderedLinear {
  LinearArgs args;
  void (*linear)(const LinearArgs &, Team &);
  const uint32_t *order;
  uint64_t x_at; // where the ordered x lies in the scratch memory, behind what the product takes
};

static void ordered_linear(const OrderedLinear &o, Team &team) {
  LinearArgs a = o.args;
  const uint32_t c = a.weight->c;
  auto *x = reinterpret_cast<float *>(team.scratch() + o.x_at);
  const Range mine = split(uint64_t{a.num_tokens} * c, team, 16);
  uint64_t t = mine.begin / c, i = mine.begin % c;
  for (uint64_t at = mine.begin; at < mine.end; at++) {
    x[at] = a.x[t * a.x_stride + o.order[i]];
    if (++i == c) i = 0, t++;
  }
  team.barrier();
  a.x = x;
  a.x_stride = c;
  o.linear(a, team);
}

static bz_status submit_linear(bz_stream *stream, const HeldWeight &w, const LinearArgs &a) {
  const LinearKernels &kernels = *stream->kernels->linear;
  OpTraits traits = {.work = uint64_t{a.num_tokens} * w.n * w.c / 16,
                     .scratch_bytes = kernels.scratch_bytes(a, stream->num_threads),
                     .weight = &w,
                     .num_tokens = a.num_tokens};
  if (!w.is_ordered) return submit(stream, kernels.linear, a, traits);
  const uint64_t x_at = (traits.scratch_bytes + 63) / 64 * 64;
  traits.scratch_bytes = x_at + uint64_t{a.num_tokens} * w.c * 4;
  return submit(stream, ordered_linear, {a, kernels.linear, w.order, x_at}, traits);
}

} // namespace bz

extern "C" bz_status bz_linear(bz_stream *stream, const bz_linear_args *args) {
  BZ_CHECK_ARGS("linear", args);
  BZ_REQUIRE(stream != nullptr && args->weight != nullptr, BZ_EINVAL, "linear: stream or weight is NULL");
  BZ_TRY(bz::check_linear(args, bz::shape_of(*args->weight), stream->mode == bz::Mode::plan));
  if (args->num_tokens == 0) return BZ_OK;
  bz::LinearArgs a = {
      .num_tokens = args->num_tokens,
      .flags = args->flags,
      .weight = nullptr,
      .x = static_cast<const float *>(args->x.data),
      .bias = args->bias,
      .y = static_cast<float *>(args->y.data),
      .x_stride = args->x.stride,
      .y_stride = args->y.stride,
  };
  for (const bz::HeldWeight *w = &bz::held(*args->weight); w != nullptr; w = w->next) {
    a.weight = w;
    BZ_TRY(bz::submit_linear(stream, *w, a));
    a.y += w->n;
    if (a.bias != nullptr) a.bias += w->n;
  }
  return BZ_OK;
}
