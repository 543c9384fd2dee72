// Weights: from the args to segments and memory. The packing itself is weight_pack.cc's.
#include <algorithm>

#include "../common/part_rows.h"
#include "stream.h"
#include "weight_memory.h"
#include "weight_pack.h"

#include <new>

namespace bz {

static PackedFormat gptq_format(const bz_weight_part &part) {
  const uint32_t group = part.group_cols == 16 ? 16 : 32;
  if (group == 32 && part.zeros.bytes == 0 && part.scales.dtype == BZ_F16)
    return {Storage::int4, 32, 8, false, false, true};
  return {Storage::int4, group, 0, false, true, false};
}

static PackedFormat packed_format(const bz_weight_part &part, uint32_t compute) {
  switch (hold_of(part, compute)) {
    case Hold::f32: return {Storage::f32, 0, 0, false, false, false};
    case Hold::f16: return {Storage::f16, 0, 0, false, false, false};
    case Hold::bf16: return {Storage::bf16, 0, 0, false, false, false};
    case Hold::int8: return {Storage::int8, 32, 0, false, false, true};
    case Hold::int4: return {Storage::int4, 32, 0, false, true, true};
    case Hold::file: break;
  }
  if (part.scheme == BZ_SCHEME_GPTQ) return gptq_format(part);
  const DtypeInfo &info = *dtype_info(part.values.dtype);
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

// Parts [first, first + count) of each of the weight's matrices.
struct PartRun {
  const bz_weight_args &args;
  uint32_t first, count;

  // Those of matrix `e`, as args of a matrix.
  bz_weight_args of(uint64_t e) const {
    bz_weight_args one = args;
    one.parts = args.parts + e * args.num_parts + first;
    one.num_parts = count;
    one.num_experts = 0;
    one.n = 0;
    for (uint32_t i = 0; i < count; i++) one.n += one.parts[i].n;
    return one;
  }
};

// Whether a part's columns are held in the order of its groups, in some of the matrices.
static bool is_ordered(const bz_weight_args &args, uint32_t i) {
  const bz_weight_part &part = args.parts[i];
  if (part.scheme != BZ_SCHEME_GPTQ || part.group_cols == 0 || hold_of(part, args.compute) != Hold::file) return false;
  for (uint64_t e = 0; e < num_matrices(args); e++)
    if (args.parts[e * args.num_parts + i].group_index.bytes > 0) return true;
  return false;
}

// The parts from `first` on that are held as one weight: one that is ordered is a weight alone, others share one.
static PartRun run_from(const bz_weight_args &args, uint32_t first) {
  if (is_ordered(args, first)) return {args, first, 1};
  uint32_t end = first + 1;
  while (end < args.num_parts && !is_ordered(args, end)) end++;
  return {args, first, end - first};
}

static uint64_t whole_lines(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

static uint64_t order_bytes(uint32_t c) { return whole_lines(uint64_t{c} * 4); }

// Fills in everything but the pointers. Parts in a row that are held alike become one segment.
static void plan_segments(const PartRun &run, HeldWeight *w) {
  const bz_weight_args args = run.of(0);
  static_cast<bz_weight &>(*w) = {};
  w->is_ordered = is_ordered(run.args, run.first);
  w->n = args.n;
  w->c = args.c;
  w->num_experts = run.args.num_experts;
  w->is_float = true;
  for (uint32_t i = 0; i < args.num_parts; i++) {
    const bz_weight_part &part = args.parts[i];
    const PackedFormat format = packed_format(part, args.compute);
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
  w->bytes = whole_lines(w->bytes + 64);
  if (w->is_ordered) w->bytes += order_bytes(args.c);
  w->matrix_bytes = w->bytes;
  w->bytes *= num_matrices(run.args);
}

// Where the arrays of the first matrix lie.
static void place_segments(HeldWeight *w) {
  std::byte *at = w->memory;
  if (w->is_ordered) {
    w->order = reinterpret_cast<const uint32_t *>(at);
    at += order_bytes(w->c);
  }
  // Every array is a multiple of 64 bytes up to scales of an odd number of half groups, so those go last.
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

static bz_status fill_weight(const bz::PartRun &run, uint32_t num_threads, bz::HeldWeight *w) {
  w->memory = bz::weight_alloc(w->bytes);
  BZ_REQUIRE(w->memory != nullptr, BZ_ENOMEM, "weight_create: no memory for %llu bytes",
             static_cast<unsigned long long>(w->bytes));
  bz::place_segments(w);
  for (uint64_t e = 0; e < bz::num_matrices(run.args); e++) {
    const bz_weight_args args = run.of(e);
    const uint32_t *order = bz::order_of(*w, e);
    BZ_REQUIRE(order == nullptr || bz::order_by_group(args.parts[0], args.c, const_cast<uint32_t *>(order)), BZ_ENOSYS,
               "weight_create: a group of group_index but the last has not all its %u columns",
               args.parts[0].group_cols);
    BZ_REQUIRE(bz::pack_matrix(args, bz::expert_of(*w, e), order, num_threads), BZ_ENOMEM,
               "weight_create: no memory to pack rows of %u columns", args.c);
  }
  return BZ_OK;
}

// The chain of weights that the args ask for; filled, unless `plan_only`. After a failure `out` has what there is of
// it.
static bz_status make_weight(const bz_weight_args &args, bool plan_only, uint32_t num_threads, bz::HeldWeight **out) {
  bz::HeldWeight **end = out;
  for (uint32_t first = 0; first < args.num_parts;) {
    const bz::PartRun run = bz::run_from(args, first);
    auto *w = new (std::nothrow) bz::HeldWeight;
    BZ_REQUIRE(w != nullptr, BZ_ENOMEM, "weight_create: no memory");
    bz::plan_segments(run, w);
    *end = w;
    end = &w->next;
    if (!plan_only) BZ_TRY(fill_weight(run, num_threads, w));
    first += run.count;
  }
  return BZ_OK;
}

static uint64_t bytes_of(const bz::HeldWeight *w) {
  uint64_t bytes = 0;
  for (; w != nullptr; w = w->next) bytes += w->bytes;
  return bytes;
}

extern "C" bz_status bz_weight_create(bz_stream *stream, const bz_weight_args *args, bz_weight **out) {
  BZ_REQUIRE(stream != nullptr && out != nullptr, BZ_EINVAL, "weight_create: stream or out is NULL");
  BZ_TRY(bz::check_weight(args, false));
  bz::HeldWeight *w = nullptr;
  if (const bz_status status = make_weight(*args, false, stream->num_threads, &w); status != BZ_OK) {
    bz_weight_destroy(w);
    return status;
  }
  w->counted.count(stream->weight_bytes, bytes_of(w));
  *out = w;
  return BZ_OK;
}

extern "C" bz_status bz_weight_plan(bz_stream *stream, const bz_weight_args *args, bz_weight **out) {
  BZ_REQUIRE(stream != nullptr && out != nullptr, BZ_EINVAL, "weight_plan: stream or out is NULL");
  BZ_TRY(bz::check_weight(args, true));
  bz::HeldWeight *w = nullptr;
  if (const bz_status status = make_weight(*args, true, 1, &w); status != BZ_OK) {
    bz_weight_destroy(w);
    return status;
  }
  *out = w;
  return BZ_OK;
}

extern "C" void bz_weight_destroy(bz_weight *weight) {
  while (weight != nullptr) {
    auto *held = static_cast<bz::HeldWeight *>(weight);
    weight = held->next;
    bz::weight_free(held->memory);
    delete held;
  }
}

extern "C" bz_status bz_weight_info(const bz_weight *weight, bz_weight_info_args *args) {
  BZ_REQUIRE(weight != nullptr, BZ_EINVAL, "weight_info: weight is NULL");
  BZ_CHECK_ARGS("weight_info", args);
  args->out_bits = 0;
  for (const bz::HeldWeight *w = &bz::held(*weight); w != nullptr; w = w->next)
    for (uint32_t i = 0; i < w->num_segments; i++)
      args->out_bits = std::max(args->out_bits, bz::bits_of(w->segments[i].format.storage)); // the widest
  args->out_bytes = bytes_of(&bz::held(*weight));
  return BZ_OK;
}
