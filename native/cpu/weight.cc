// Weights: from the args to segments and memory. The packing itself is weight_pack.cc's.
#include "stream.h"
#include "weight_memory.h"
#include "weight_pack.h"

#include <new>

namespace bz {

static PackedFormat packed_format(uint32_t dtype, Hold hold) {
  switch (hold) {
    case Hold::f32: return {Storage::f32, 0, 0, false, false, false};
    case Hold::f16: return {Storage::f16, 0, 0, false, false, false};
    case Hold::bf16: return {Storage::bf16, 0, 0, false, false, false};
    case Hold::int8: return {Storage::int8, 32, 0, false, false, true};
    case Hold::int4: return {Storage::int4, 32, 0, false, true, true};
    case Hold::file: break;
  }
  const DtypeInfo &info = *dtype_info(dtype);
  const bool is_int4 = info.code_bits == 4;
  return {is_int4 ? Storage::int4 : Storage::int8, info.group, is_int4 ? static_cast<uint32_t>(info.offset) : 0,
          info.is_codebook, info.has_min, info.has_half_scales};
}

uint32_t padded_columns(const PackedFormat &format, uint32_t c) {
  const uint32_t step = format.storage == Storage::f32 ? 16 : 32;
  return (c + step - 1) / step * step;
}

static uint32_t bits_of(Storage storage) {
  switch (storage) {
    case Storage::f32: return 32;
    case Storage::int8: return 8;
    case Storage::int4: return 4;
    default: return 16;
  }
}

uint64_t Segment::block_value_bytes() const {
  return uint64_t{c_padded} * LANES * bits_of(format.storage) / 8;
}

uint64_t Segment::block_scale_bytes() const {
  return format.is_float() ? 0 : uint64_t{c_padded} / format.group * LANES * (format.has_half_scales ? 2 : 4);
}

// Fills in everything but the pointers. Parts in a row that are held alike become one segment.
static void plan_segments(const bz_weight_args &args, bz_weight *w) {
  *w = {};
  w->n = args.n;
  w->c = args.c;
  w->num_experts = args.num_experts;
  w->is_float = true;
  for (uint32_t i = 0; i < args.num_parts; i++) {
    const bz_weight_part &part = args.parts[i];
    const PackedFormat format = packed_format(part.values.dtype, hold_of(part.values.dtype, args.compute));
    Segment *last = w->num_segments > 0 ? &w->segments[w->num_segments - 1] : nullptr;
    if (last != nullptr && last->format == format) {
      last->num_rows += part.n;
      continue;
    }
    Segment &next = w->segments[w->num_segments++];
    next.format = format;
    next.first_row = last != nullptr ? last->first_row + last->num_rows : 0;
    next.num_rows = part.n;
    next.c_padded = padded_columns(format, args.c);
    w->is_float = w->is_float && format.is_float();
  }
  for (uint32_t i = 0; i < w->num_segments; i++) {
    Segment &s = w->segments[i];
    s.num_blocks = (s.num_rows + LANES - 1) / LANES;
    s.first_block = w->num_blocks;
    w->num_blocks += s.num_blocks;
    w->bytes += s.num_blocks * (s.block_value_bytes() + s.block_scale_bytes() * (s.format.has_min ? 2 : 1));
  }
  // What a kernel may read ahead of the last scales.
  w->bytes = (w->bytes + 64) * num_matrices(args);
}

static void place_segments(bz_weight *w) {
  // Every array is a multiple of 64 bytes up to scales of an odd number of half groups, so those go last.
  std::byte *at = w->memory;
  for (uint32_t i = 0; i < w->num_segments; i++) {
    w->segments[i].values = at;
    at += w->segments[i].num_blocks * w->segments[i].block_value_bytes();
  }
  for (uint32_t i = 0; i < w->num_segments; i++) {
    Segment &s = w->segments[i];
    s.scales = at;
    at += s.num_blocks * s.block_scale_bytes();
    s.mins = at;
    if (s.format.has_min) at += s.num_blocks * s.block_scale_bytes();
  }
}

} // namespace bz

// What a caller holds: the weight that kernels see, and its place in the stream's count.
struct HeldWeight : bz_weight {
  bz::CountedBytes counted;
};

static HeldWeight *plan_weight(const bz_weight_args &args) {
  auto *w = new (std::nothrow) HeldWeight;
  if (w != nullptr) bz::plan_segments(args, w);
  return w;
}

extern "C" bz_status bz_weight_create(bz_stream *stream, const bz_weight_args *args, bz_weight **out) {
  BZ_REQUIRE(stream != nullptr && out != nullptr, BZ_EINVAL, "weight_create: stream or out is NULL");
  BZ_TRY(bz::check_weight(args, false));
  HeldWeight *w = plan_weight(*args);
  BZ_REQUIRE(w != nullptr, BZ_ENOMEM, "weight_create: no memory");
  w->memory = bz::weight_alloc(w->bytes);
  if (w->memory == nullptr) {
    const unsigned long long bytes = w->bytes;
    delete w;
    return bz::fail(BZ_ENOMEM, "weight_create: no memory for %llu bytes", bytes);
  }
  bz::place_segments(w);
  if (!bz::pack_weight(*args, *w, stream->num_threads)) {
    bz_weight_destroy(w);
    return bz::fail(BZ_ENOMEM, "weight_create: no memory to pack rows of %u columns", args->c);
  }
  w->counted.count(stream->weight_bytes, w->bytes);
  *out = w;
  return BZ_OK;
}

extern "C" bz_status bz_weight_plan(bz_stream *stream, const bz_weight_args *args, bz_weight **out) {
  BZ_REQUIRE(stream != nullptr && out != nullptr, BZ_EINVAL, "weight_plan: stream or out is NULL");
  BZ_TRY(bz::check_weight(args, true));
  *out = plan_weight(*args);
  BZ_REQUIRE(*out != nullptr, BZ_ENOMEM, "weight_plan: no memory");
  return BZ_OK;
}

extern "C" void bz_weight_destroy(bz_weight *weight) {
  if (weight == nullptr) return;
  bz::weight_free(weight->memory);
  delete static_cast<HeldWeight *>(weight);
}

extern "C" bz_status bz_weight_info(const bz_weight *weight, bz_weight_info_args *args) {
  BZ_REQUIRE(weight != nullptr, BZ_EINVAL, "weight_info: weight is NULL");
  BZ_CHECK_ARGS("weight_info", args);
  args->out_bits = 0;
  for (uint32_t i = 0; i < weight->num_segments; i++) {
    const uint32_t bits = bz::bits_of(weight->segments[i].format.storage);
    if (bits > args->out_bits) args->out_bits = bits; // the widest of a mixed weight
  }
  args->out_bytes = weight->bytes;
  return BZ_OK;
}
