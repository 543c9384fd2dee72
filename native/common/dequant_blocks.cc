// The block layouts of GGUF. Offsets in the comments are bytes into the block.
#include "dequant_blocks.h"

#include "dtype.h"

namespace bz {
namespace {

float half_at(const uint8_t *p) { return f16_to_f32(uint16_t(p[0] | p[1] << 8)); }

// 16 bytes hold 32 nibbles: value j is the low half of byte j, value j + 16 its high half.
void split_nibbles(const uint8_t *qs, uint32_t half, uint8_t *codes) {
  for (uint32_t j = 0; j < half; j++) {
    codes[j] = qs[j] & 15;
    codes[j + half] = qs[j] >> 4;
  }
}

// The fifth bit of value j is bit j of the 32-bit word at qh.
void add_fifth_bits(const uint8_t *qh, uint8_t *codes) {
  for (uint32_t j = 0; j < 32; j++) codes[j] = uint8_t(codes[j] | ((qh[j / 8] >> (j % 8)) & 1) << 4);
}

// Q4_K and Q5_K: twelve bytes hold eight 6-bit scales and eight 6-bit minimums; the upper two bits of the last four of
// each sit in the top of the first four's bytes.
void scales_and_mins_k(const uint8_t *b, float *scales, float *mins) {
  const float d = half_at(b), dmin = half_at(b + 2);
  const uint8_t *s = b + 4;
  for (uint32_t j = 0; j < 8; j++) {
    const int scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
    const int min = j < 4 ? s[j + 4] & 63 : (s[j + 4] >> 4) | (s[j] >> 6) << 4;
    scales[j] = d * float(scale);
    mins[j] = -(dmin * float(min));
  }
}

} // namespace

// [0] d, [2] 32 nibbles
void decode_q4_0(const uint8_t *b, uint8_t *codes, float *scales, float *) {
  scales[0] = half_at(b);
  split_nibbles(b + 2, 16, codes);
}

// [0] d, [2] min, [4] 32 nibbles
void decode_q4_1(const uint8_t *b, uint8_t *codes, float *scales, float *mins) {
  scales[0] = half_at(b);
  mins[0] = half_at(b + 2);
  split_nibbles(b + 4, 16, codes);
}

// [0] d, [2] 32 fifth bits, [6] 32 nibbles
void decode_q5_0(const uint8_t *b, uint8_t *codes, float *scales, float *) {
  scales[0] = half_at(b);
  split_nibbles(b + 6, 16, codes);
  add_fifth_bits(b + 2, codes);
}

// [0] d, [2] min, [4] 32 fifth bits, [8] 32 nibbles
void decode_q5_1(const uint8_t *b, uint8_t *codes, float *scales, float *mins) {
  scales[0] = half_at(b);
  mins[0] = half_at(b + 2);
  split_nibbles(b + 8, 16, codes);
  add_fifth_bits(b + 4, codes);
}

// [0] d, [2] 32 signed bytes
void decode_q8_0(const uint8_t *b, uint8_t *codes, float *scales, float *) {
  scales[0] = half_at(b);
  for (uint32_t j = 0; j < 32; j++) codes[j] = b[2 + j] ^ 0x80;
}

// [0] 16 x (4-bit scale, 4-bit min), [16] 64 bytes of 2-bit values, [80] d, [82] dmin.
// 128 values share 32 bytes: value 32 i + l is bits [2i, 2i + 2) of byte l.
void decode_q2_k(const uint8_t *b, uint8_t *codes, float *scales, float *mins) {
  const float d = half_at(b + 80), dmin = half_at(b + 82);
  for (uint32_t g = 0; g < 16; g++) {
    scales[g] = d * float(b[g] & 15);
    mins[g] = -(dmin * float(b[g] >> 4));
  }
  for (uint32_t i = 0; i < 256; i++) codes[i] = (b[16 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3;
}

// [0] 32 bytes of third bits, [32] 64 bytes of 2-bit values (as Q2_K), [96] 16 6-bit scales, [108] d.
// The third bit of value i is bit i / 32 of byte i % 32; it is set where 4 is not taken away.
void decode_q3_k(const uint8_t *b, uint8_t *codes, float *scales, float *) {
  const float d = half_at(b + 108);
  const uint8_t *s = b + 96;
  for (uint32_t g = 0; g < 16; g++) {
    const int low = g < 8 ? s[g] & 15 : s[g - 8] >> 4;
    const int high = (s[8 + g % 4] >> (g / 4 * 2)) & 3;
    scales[g] = d * float((low | high << 4) - 32);
  }
  for (uint32_t i = 0; i < 256; i++) {
    const int low = (b[32 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3;
    const int high = (b[i % 32] >> (i / 32)) & 1;
    codes[i] = uint8_t(low | high << 2);
  }
}

// [0] d, [2] dmin, [4] scales and mins, [16] 128 bytes: 32 bytes hold 64 values, low halves first
void decode_q4_k(const uint8_t *b, uint8_t *codes, float *scales, float *mins) {
  scales_and_mins_k(b, scales, mins);
  for (uint32_t i = 0; i < 4; i++) split_nibbles(b + 16 + 32 * i, 32, codes + 64 * i);
}

// [0] d, [2] dmin, [4] scales and mins, [16] 32 bytes of fifth bits, [48] 128 bytes as Q4_K.
// The fifth bit of value i is bit i / 32 of byte i % 32.
void decode_q5_k(const uint8_t *b, uint8_t *codes, float *scales, float *mins) {
  scales_and_mins_k(b, scales, mins);
  for (uint32_t i = 0; i < 4; i++) split_nibbles(b + 48 + 32 * i, 32, codes + 64 * i);
  for (uint32_t i = 0; i < 256; i++) codes[i] = uint8_t(codes[i] | ((b[16 + i % 32] >> (i / 32)) & 1) << 4);
}

// [0] 128 bytes of low nibbles, [128] 64 bytes of upper 2 bits, [192] 16 signed scales, [208] d.
// 128 values share 64 low and 32 high bytes: of value 32 i + l the low nibble is half i / 2 of byte 32 (i % 2) + l, the
// upper bits are [2i, 2i + 2) of high byte l.
void decode_q6_k(const uint8_t *b, uint8_t *codes, float *scales, float *) {
  const float d = half_at(b + 208);
  for (uint32_t g = 0; g < 16; g++) scales[g] = d * float(int8_t(b[192 + g]));
  for (uint32_t n = 0; n < 2; n++)
    for (uint32_t i = 0; i < 4; i++)
      for (uint32_t l = 0; l < 32; l++) {
        const int low = (b[64 * n + 32 * (i % 2) + l] >> (i / 2 * 4)) & 15;
        const int high = (b[128 + 32 * n + l] >> (2 * i)) & 3;
        codes[128 * n + 32 * i + l] = uint8_t(low | high << 4);
      }
}

// [0] d, [2] upper 2 bits of 8 scales, [4] lower 4 bits of 8 scales, [8] 8 x 32 nibbles
void decode_iq4_xs(const uint8_t *b, uint8_t *codes, float *scales, float *) {
  const float d = half_at(b);
  const uint32_t high_bits = uint32_t(b[2] | b[3] << 8);
  for (uint32_t g = 0; g < 8; g++) {
    const int low = (b[4 + g / 2] >> (g % 2 * 4)) & 15;
    const int high = int((high_bits >> (2 * g)) & 3);
    scales[g] = d * float((low | high << 4) - 32);
    split_nibbles(b + 8 + 16 * g, 16, codes + 32 * g);
  }
}

} // namespace bz
