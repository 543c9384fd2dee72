// Rows of every weight dtype to codes and to float32.
#include "dequant.h"

#include <cstring>

#include "dequant_blocks.h"
#include "dtype.h"

namespace bz {

const int8_t codebook_levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

namespace {

struct Format {
  uint32_t dtype;
  DtypeInfo info;
  block_decoder decode;
};

//                name     block bytes group bits offset codebook min  half scales
const Format formats[] = {
    {BZ_F32,    {"F32",      1,   4,    0,  32,   0, false, false, false}, nullptr},
    {BZ_F16,    {"F16",      1,   2,    0,  16,   0, false, false, false}, nullptr},
    {BZ_BF16,   {"BF16",     1,   2,    0,  16,   0, false, false, false}, nullptr},
    {BZ_Q4_0,   {"Q4_0",    32,  18,   32,   4,   8, false, false, true},  decode_q4_0},
    {BZ_Q4_1,   {"Q4_1",    32,  20,   32,   4,   0, false, true,  true},  decode_q4_1},
    {BZ_Q5_0,   {"Q5_0",    32,  22,   32,   8,  16, false, false, true},  decode_q5_0},
    {BZ_Q5_1,   {"Q5_1",    32,  24,   32,   8,   0, false, true,  true},  decode_q5_1},
    {BZ_Q8_0,   {"Q8_0",    32,  34,   32,   8, 128, false, false, true},  decode_q8_0},
    {BZ_Q2_K,   {"Q2_K",   256,  84,   16,   4,   0, false, true,  false}, decode_q2_k},
    {BZ_Q3_K,   {"Q3_K",   256, 110,   16,   4,   4, false, false, false}, decode_q3_k},
    {BZ_Q4_K,   {"Q4_K",   256, 144,   32,   4,   0, false, true,  false}, decode_q4_k},
    {BZ_Q5_K,   {"Q5_K",   256, 176,   32,   8,   0, false, true,  false}, decode_q5_k},
    {BZ_Q6_K,   {"Q6_K",   256, 210,   16,   8,  32, false, false, false}, decode_q6_k},
    {BZ_IQ4_NL, {"IQ4_NL",  32,  18,   32,   4,   0, true,  false, true},  decode_q4_0},
    {BZ_IQ4_XS, {"IQ4_XS", 256, 136,   32,   4,   0, true,  false, false}, decode_iq4_xs},
};

const Format *find_format(uint32_t dtype) {
  for (const Format &f : formats)
    if (f.dtype == dtype) return &f;
  return nullptr;
}

uint16_t u16_at(const uint8_t *p) { return uint16_t(p[0] | p[1] << 8); }

} // namespace

const DtypeInfo *dtype_info(uint32_t dtype) {
  const Format *f = find_format(dtype);
  return f ? &f->info : nullptr;
}

bool rows_bytes(const DtypeInfo &info, uint64_t n, uint64_t c, uint64_t *out_bytes) {
  uint64_t row = 0;
  if (c % info.block != 0) return false;
  if (__builtin_mul_overflow(c / info.block, uint64_t(info.block_bytes), &row)) return false;
  return !__builtin_mul_overflow(row, n, out_bytes);
}

void decode_row(uint32_t dtype, const uint8_t *src, uint64_t c, uint8_t *codes, float *scales, float *mins) {
  const Format &f = *find_format(dtype);
  const uint64_t groups = f.info.block / f.info.group;
  if (!f.info.has_min) std::memset(mins, 0, c / f.info.group * sizeof(float));
  for (uint64_t b = 0; b < c / f.info.block; b++)
    f.decode(src + b * f.info.block_bytes, codes + b * f.info.block, scales + b * groups, mins + b * groups);
}

void dequantize_row(uint32_t dtype, const uint8_t *src, uint64_t c, float *out) {
  if (dtype == BZ_F32) {
    std::memcpy(out, src, c * sizeof(float));
    return;
  }
  if (dtype == BZ_F16 || dtype == BZ_BF16) {
    for (uint64_t i = 0; i < c; i++)
      out[i] = dtype == BZ_F16 ? f16_to_f32(u16_at(src + 2 * i)) : bf16_to_f32(u16_at(src + 2 * i));
    return;
  }
  const Format &f = *find_format(dtype);
  const uint32_t block = f.info.block, group = f.info.group;
  for (uint64_t b = 0; b < c / block; b++) {
    uint8_t codes[256];
    float scales[16], mins[16] = {0};
    f.decode(src + b * f.info.block_bytes, codes, scales, mins);
    for (uint32_t i = 0; i < block; i++)
      out[b * block + i] = scales[i / group] * float(code_level(f.info, codes[i])) + mins[i / group];
  }
}

} // namespace bz
