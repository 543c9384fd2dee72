#include "weight_pack.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include "../common/dtype.h"
#include "../common/part_rows.h"
#include "../common/quantize.h"

namespace bz {
namespace {

// What rows of codes become.
struct Packing {
  const PackedFormat &format;
  Hold hold;
  const uint32_t *order; // of HeldWeight
};

// One block's rows before they are interleaved. Floats: bits of the stored type. Integers: codes and scales.
struct Rows {
  uint32_t c, c_padded, groups;
  uint64_t bytes;
  std::byte *memory;
  uint32_t *words;   // [16][c_padded] for floats
  float *row;        // [c]
  uint8_t *codes;    // [16][c_padded]
  float *scales;     // [16][groups]
  float *mins;       // [16][groups]
};

bool allocate_rows(const Segment &s, uint32_t c, Rows *rows) {
  const uint64_t cells = uint64_t{LANES} * s.c_padded;
  rows->c = c;
  rows->c_padded = s.c_padded;
  rows->groups = s.format.is_float() ? 0 : s.c_padded / s.format.group;
  rows->bytes = cells * 5 + uint64_t{LANES} * rows->groups * 8 + uint64_t{c} * 4;
  rows->memory = static_cast<std::byte *>(std::calloc(1, rows->bytes));
  if (rows->memory == nullptr) return false;
  rows->words = reinterpret_cast<uint32_t *>(rows->memory);
  rows->scales = reinterpret_cast<float *>(rows->words + cells);
  rows->mins = rows->scales + LANES * rows->groups;
  rows->row = rows->mins + LANES * rows->groups;
  rows->codes = reinterpret_cast<uint8_t *>(rows->row + c);
  return true;
}

// The part that holds row `row` of the weight, and the row's number in it.
const bz_weight_part &find_row(const bz_weight_args &args, uint32_t row, uint32_t *row_of_part) {
  uint32_t i = 0;
  while (row >= args.parts[i].n) row -= args.parts[i++].n;
  *row_of_part = row;
  return args.parts[i];
}

const uint8_t *plain_row(const bz_weight_part &part, uint64_t row) {
  return static_cast<const uint8_t *>(part.values.data) + part.values.bytes / part.n * row;
}

void read_float_row(const bz_weight_part &part, uint32_t row, Storage storage, uint32_t lane, Rows &rows) {
  uint32_t *words = rows.words + uint64_t{lane} * rows.c_padded;
  const uint32_t dtype = part.values.dtype;
  if ((dtype == BZ_BF16 && storage == Storage::bf16) || (dtype == BZ_F16 && storage == Storage::f16)) {
    const uint8_t *src = plain_row(part, row);
    for (uint64_t i = 0; i < rows.c; i++) words[i] = uint32_t(src[2 * i]) | uint32_t(src[2 * i + 1]) << 8;
    return;
  }
  dequantize_part_row(part, rows.c, row, rows.row);
  for (uint32_t i = 0; i < rows.c; i++) {
    const float value = rows.row[i];
    if (storage == Storage::f32) words[i] = f32_bits(value);
    else words[i] = storage == Storage::bf16 ? f32_to_bf16(value) : f32_to_f16(value);
  }
}

void read_code_row(const bz_weight_part &part, uint32_t row, const Packing &packing, uint32_t lane, Rows &rows) {
  const PackedFormat &format = packing.format;
  uint8_t *codes = rows.codes + uint64_t{lane} * rows.c_padded;
  float *scales = rows.scales + uint64_t{lane} * rows.groups, *mins = rows.mins + uint64_t{lane} * rows.groups;
  uint32_t offset = INT8_OFFSET;
  if (packing.hold == Hold::file && part.scheme == BZ_SCHEME_GPTQ) {
    decode_gptq_row(part, rows.c, row, packing.order, format.group, codes, scales, mins);
  } else if (packing.hold == Hold::file) {
    decode_row(part.values.dtype, plain_row(part, row), rows.c, codes, scales, mins);
    offset = static_cast<uint32_t>(dtype_info(part.values.dtype)->offset);
  } else {
    dequantize_part_row(part, rows.c, row, rows.row);
    if (packing.hold == Hold::int8) quantize_row_int8(rows.row, rows.c, codes, scales);
    else quantize_row_int4(rows.row, rows.c, codes, scales, mins);
  }
  if (format.storage == Storage::int8) // as signed levels
    for (uint32_t i = 0; i < rows.c; i++) codes[i] = static_cast<uint8_t>(codes[i] - offset);
}

void write_floats(const Rows &rows, Storage storage, std::byte *out) {
  const uint32_t step = storage == Storage::f32 ? 1 : 2;
  for (uint32_t lane = 0; lane < LANES; lane++) {
    const uint32_t *words = rows.words + uint64_t{lane} * rows.c_padded;
    uint32_t *to = reinterpret_cast<uint32_t *>(out) + lane;
    for (uint32_t i = 0; i < rows.c_padded; i += step, to += LANES)
      *to = step == 1 ? words[i] : words[i] | words[i + 1] << 16;
  }
}

uint32_t word_at(const uint8_t *p) {
  uint32_t word;
  std::memcpy(&word, p, 4);
  return word;
}

void write_codes(const Rows &rows, Storage storage, std::byte *out) {
  auto *to = reinterpret_cast<uint32_t *>(out);
  const uint32_t step = storage == Storage::int8 ? 4 : 8;
  for (uint32_t i = 0; i < rows.c_padded; i += step)
    for (uint32_t lane = 0; lane < LANES; lane++) {
      const uint8_t *codes = rows.codes + uint64_t{lane} * rows.c_padded + i;
      *to++ = step == 4 ? word_at(codes) : word_at(codes) | word_at(codes + 4) << 4;
    }
}

void write_scales(const Rows &rows, const float *scales, bool as_half, std::byte *out) {
  for (uint32_t g = 0; g < rows.groups; g++)
    for (uint32_t lane = 0; lane < LANES; lane++) {
      const float scale = scales[uint64_t{lane} * rows.groups + g];
      const uint64_t at = uint64_t{g} * LANES + lane;
      if (as_half) reinterpret_cast<uint16_t *>(out)[at] = f32_to_f16(scale); // exact: it came from a float16
      else reinterpret_cast<float *>(out)[at] = scale;
    }
}

void pack_block(const bz_weight_args &args, const Segment &s, const uint32_t *order, uint32_t block, Rows &rows) {
  const uint32_t first = block * LANES, count = s.num_rows - first < LANES ? s.num_rows - first : LANES;
  if (count < LANES) // the block's last rows are zeros, whatever the rows before left here
    std::memset(rows.memory, 0, rows.bytes);
  for (uint32_t lane = 0; lane < count; lane++) {
    uint32_t row;
    const bz_weight_part &part = find_row(args, s.first_row + first + lane, &row);
    if (s.format.is_float()) read_float_row(part, row, s.format.storage, lane, rows);
    else read_code_row(part, row, {s.format, hold_of(part, args.compute), order}, lane, rows);
  }
  auto *values = const_cast<std::byte *>(s.values) + block * s.block_value_bytes();
  if (s.format.is_float()) return write_floats(rows, s.format.storage, values);
  write_codes(rows, s.format.storage, values);
  const uint64_t at = block * s.block_scale_bytes();
  write_scales(rows, rows.scales, s.format.has_half_scales, const_cast<std::byte *>(s.scales) + at);
  if (s.format.has_min) write_scales(rows, rows.mins, s.format.has_half_scales, const_cast<std::byte *>(s.mins) + at);
}

float scale_at(const std::byte *scales, uint64_t i, bool is_half) {
  if (!is_half) return reinterpret_cast<const float *>(scales)[i];
  return f16_to_f32(reinterpret_cast<const uint16_t *>(scales)[i]);
}

void unpack_floats(const Segment &s, const std::byte *values, uint32_t lane, uint32_t c, float *out) { // never ordered
  if (s.format.storage == Storage::f32) {
    for (uint32_t i = 0; i < c; i++) out[i] = reinterpret_cast<const float *>(values)[uint64_t{i} * LANES + lane];
    return;
  }
  const auto *halves = reinterpret_cast<const uint16_t *>(values);
  for (uint32_t i = 0; i < c; i++) {
    const uint16_t half = halves[(uint64_t{i / 2} * LANES + lane) * 2 + i % 2];
    out[i] = s.format.storage == Storage::f16 ? f16_to_f32(half) : bf16_to_f32(half);
  }
}

int32_t level_at(const PackedFormat &format, const std::byte *values, uint32_t lane, uint32_t i) {
  if (format.storage == Storage::int8)
    return static_cast<int8_t>(values[(uint64_t{i / 4} * LANES + lane) * 4 + i % 4]);
  const auto byte = static_cast<uint8_t>(values[(uint64_t{i / 8} * LANES + lane) * 4 + i % 4]);
  const uint32_t code = i % 8 < 4 ? byte & 15 : byte >> 4;
  return format.is_codebook ? codebook_levels[code] : static_cast<int32_t>(code - format.offset);
}

} // namespace

bool pack_matrix(const bz_weight_args &args, const bz_weight &w, const uint32_t *order, uint32_t num_threads) {
  std::atomic<bool> ok{true};
  for (uint32_t i = 0; i < w.num_segments; i++) {
    const Segment &s = w.segments[i];
#pragma omp parallel num_threads(num_threads) if (uint64_t{s.num_rows} * s.c_padded > 65536)
    {
      Rows rows{};
      const bool have_rows = allocate_rows(s, w.c, &rows);
      if (!have_rows) ok = false;
#pragma omp for schedule(dynamic, 8)
      for (uint32_t block = 0; block < s.num_blocks; block++)
        if (have_rows) pack_block(args, s, order, block, rows);
      if (have_rows) std::free(rows.memory);
    }
  }
  return ok;
}

void unpack_row(const HeldWeight &first, uint32_t row, float *out) {
  const HeldWeight *with_row = &first;
  for (; row >= with_row->n; with_row = with_row->next) row -= with_row->n;
  const HeldWeight &w = *with_row;
  const Segment *s = w.segments;
  while (row >= s->first_row + s->num_rows) s++;
  const uint32_t block = (row - s->first_row) / LANES, lane = (row - s->first_row) % LANES;
  const std::byte *values = s->values + block * s->block_value_bytes();
  if (s->format.is_float()) return unpack_floats(*s, values, lane, w.c, out);
  const std::byte *scales = s->scales + block * s->block_scale_bytes();
  const std::byte *mins = s->mins + block * s->block_scale_bytes();
  for (uint32_t i = 0; i < w.c; i++) {
    const uint64_t at = uint64_t{i / s->format.group} * LANES + lane;
    const float min = s->format.has_min ? scale_at(mins, at, s->format.has_half_scales) : 0.0f;
    const float scale = scale_at(scales, at, s->format.has_half_scales);
    const uint32_t column = w.order != nullptr ? w.order[i] : i;
    out[column] = scale * static_cast<float>(level_at(s->format, values, lane, i)) + min;
  }
}

} // namespace bz
