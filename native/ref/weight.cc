// The values a weight has are the contract's: rounding to bfloat16 or float16 and quantizing happen here too, only that
// the result is kept as float32.
#include "weight.h"

#include <new>

#include "../common/dtype.h"
#include "../common/part_rows.h"
#include "../common/quantize.h"
#include "stream.h"

namespace bz {

static void round_trip(Hold hold, uint32_t c, float *row) {
  if (hold == Hold::f16)
    for (uint32_t i = 0; i < c; i++) row[i] = f16_to_f32(f32_to_f16(row[i]));
  if (hold == Hold::bf16)
    for (uint32_t i = 0; i < c; i++) row[i] = bf16_to_f32(f32_to_bf16(row[i]));
  if (hold != Hold::int8 && hold != Hold::int4) return;
  std::vector<uint8_t> codes(c);
  std::vector<float> scales((c + QUANTIZE_GROUP - 1) / QUANTIZE_GROUP), mins(scales.size());
  if (hold == Hold::int8) quantize_row_int8(row, c, codes.data(), scales.data());
  else quantize_row_int4(row, c, codes.data(), scales.data(), mins.data());
  const int32_t offset = hold == Hold::int8 ? INT8_OFFSET : 0;
  for (uint32_t i = 0; i < c; i++)
    row[i] = scales[i / QUANTIZE_GROUP] * static_cast<float>(codes[i] - offset) + mins[i / QUANTIZE_GROUP];
}

static void fill(const bz_weight_args &args, bz_weight *w) {
  float *row = w->values.data();
  for (uint64_t p = 0; p < args.num_parts * num_matrices(args); p++) {
    const bz_weight_part &part = args.parts[p];
    for (uint32_t i = 0; i < part.n; i++, row += args.c) {
      dequantize_part_row(part, args.c, i, row);
      round_trip(hold_of(part, args.compute), args.c, row);
    }
  }
}

} // namespace bz

extern "C" {

bz_status bz_weight_plan(bz_stream *stream, const bz_weight_args *args, bz_weight **out) {
  BZ_REQUIRE(stream != nullptr && out != nullptr, BZ_EINVAL, "weight_plan: stream or out is NULL");
  BZ_TRY(bz::check_weight(args, true));
  *out = new bz_weight{args->n, args->c, args->num_experts, {}, {}};
  return BZ_OK;
}

bz_status bz_weight_create(bz_stream *stream, const bz_weight_args *args, bz_weight **out) {
  BZ_REQUIRE(stream != nullptr && out != nullptr, BZ_EINVAL, "weight_create: stream or out is NULL");
  BZ_TRY(bz::check_weight(args, false));
  try {
    const uint64_t count = uint64_t{args->n} * args->c * bz::num_matrices(*args);
    *out = new bz_weight{args->n, args->c, args->num_experts, std::vector<float>(count), {}};
  } catch (const std::bad_alloc &) {
    return bz::fail(BZ_ENOMEM, "weight_create: no memory for %llu of [%u, %u]",
                    static_cast<unsigned long long>(bz::num_matrices(*args)), args->n, args->c);
  }
  bz::fill(*args, *out);
  (*out)->counted.count(stream->weight_bytes, (*out)->bytes());
  return BZ_OK;
}

void bz_weight_destroy(bz_weight *weight) { delete weight; }

bz_status bz_weight_info(const bz_weight *weight, bz_weight_info_args *args) {
  BZ_REQUIRE(weight != nullptr, BZ_EINVAL, "weight_info: weight is NULL");
  BZ_CHECK_ARGS("weight_info", args);
  args->out_bits = 32;
  args->out_bytes = weight->bytes();
  return BZ_OK;
}

} // extern "C"
