// 16 lanes, one for each output row of a block: float32 sums, int32 sums, and 4 columns of int8 weights a lane.
//
// Every level computes the same numbers: integer sums are exact, and floats are only multiplied, added and fused where
// the code says so. `Bytes` of full-range weights are operands of the level's dot product: with 2^SIGNED_SHIFT added to
// each, or with nothing where SIGNED_SHIFT is -1.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../../common/dtype.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace bz {
namespace {

#if defined(__AVX512F__)

using Floats = __m512;
using Ints = __m512i;
using Bytes = __m512i;

inline Floats zeros() { return _mm512_setzero_ps(); }
inline Floats splat(float x) { return _mm512_set1_ps(x); }
inline Floats load_f32(const float *p) { return _mm512_loadu_ps(p); }
inline Floats load_f16(const uint16_t *p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(p)));
}
inline void store(float *p, Floats a) { _mm512_storeu_ps(p, a); }
inline Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
inline Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
inline Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
inline Floats to_floats(Ints a) { return _mm512_cvtepi32_ps(a); }
// a * 2^SHIFT + b. Whole bytes are moved by a shuffle: shifts and products of floats would want the same port.
template <int SHIFT> inline Ints join_planes(Ints a, Ints b) {
  static_assert(SHIFT == 8);
  const __m512i up = _mm512_broadcast_i32x4(_mm_setr_epi8(-1, 0, 1, 2, -1, 4, 5, 6, -1, 8, 9, 10, -1, 12, 13, 14));
  return _mm512_add_epi32(_mm512_shuffle_epi8(a, up), b);
}
inline Bytes load_bytes(const std::byte *p) { return _mm512_loadu_si512(p); }
// A lane as two 16-bit words, or as four bytes.
inline Ints splat_bits(int32_t x) { return _mm512_set1_epi32(x); }
inline Ints add_ints(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
inline Ints add_words(Ints a, Ints b) { return _mm512_add_epi16(a, b); }
inline Ints and_bits(Ints a, Ints b) { return _mm512_and_si512(a, b); }
inline Ints xor_bits(Ints a, Ints b) { return _mm512_xor_si512(a, b); }
inline Ints shift_words_left(Ints a, int n) { return _mm512_slli_epi16(a, static_cast<unsigned>(n)); }
inline Ints shift_words_right(Ints a, int n) { return _mm512_srai_epi16(a, static_cast<unsigned>(n)); } // signed
inline Ints dot_words(Ints a, Ints b) { return _mm512_madd_epi16(a, b); }                 // of each lane's two
inline Ints dot_byte_pairs(Bytes codes, Bytes x) { return _mm512_maddubs_epi16(codes, x); } // a word for two bytes
// The compiler must not add in another order: it would run out of registers.
[[gnu::always_inline]] inline void keep_order(Ints &a) { asm("" : "+v"(a)); }
// Pairs of bf16 a lane: the first and the second of each as float32.
inline Floats first_bf16(Bytes a) { return _mm512_castsi512_ps(_mm512_slli_epi32(a, 16)); }
inline Floats second_bf16(Bytes a) { return _mm512_castsi512_ps(_mm512_and_si512(a, _mm512_set1_epi32(-65536))); }
inline Floats first_f16(Bytes a) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(a)); }
inline Floats second_f16(Bytes a) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(a, 16))); }
inline Bytes low_halves(Bytes a) { return _mm512_and_si512(a, _mm512_set1_epi8(15)); }
inline Bytes high_halves(Bytes a) { return _mm512_and_si512(_mm512_srli_epi16(a, 4), _mm512_set1_epi8(15)); }
inline Bytes look_up(const int8_t *table, Bytes codes) {
  const __m128i levels = _mm_loadu_si128(reinterpret_cast<const __m128i *>(table));
  return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(levels), codes);
}
#if defined(__AVX512VNNI__)
constexpr int SIGNED_SHIFT = 7; // weights are stored in the register with 128 added
constexpr bool WIDE_CODES = true; // dot_codes takes all of a byte: codes of 4 bits may be 16 times themselves
inline Bytes codes_times_16(Bytes codes) { return _mm512_slli_epi16(codes, 4); }
inline Bytes as_signed_operand(Bytes levels) { return _mm512_xor_si512(levels, _mm512_set1_epi8(-128)); }
using Columns = __m512i; // four of a token, in each lane
inline Columns four_columns(const int8_t *x) {
  int32_t word;
  std::memcpy(&word, x, 4);
  return _mm512_set1_epi32(word);
}
// As written here the compiler keeps the order of sums that the kernel chose.
[[gnu::always_inline]] inline Ints dot_codes(Ints sum, Bytes w, Columns x) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(w), "v"(x));
  return sum;
}
[[gnu::always_inline]] inline Ints dot_signed(Ints sum, Bytes w, Columns x) { return dot_codes(sum, w, x); }
#endif

#elif defined(__AVX2__)

struct Floats { __m256 a, b; };
struct Ints { __m256i a, b; };
using Bytes = Ints;

inline Floats zeros() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
inline Floats splat(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline Floats load_f32(const float *p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline Floats load_f16(const uint16_t *p) {
  const auto *halves = reinterpret_cast<const __m128i *>(p);
  return {_mm256_cvtph_ps(_mm_loadu_si128(halves)), _mm256_cvtph_ps(_mm_loadu_si128(halves + 1))};
}
inline void store(float *p, Floats x) {
  _mm256_storeu_ps(p, x.a);
  _mm256_storeu_ps(p + 8, x.b);
}
inline Floats add(Floats x, Floats y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
inline Floats mul(Floats x, Floats y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
inline Floats fma(Floats x, Floats y, Floats z) {
  return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
inline Floats to_floats(Ints x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
inline Bytes load_bytes(const std::byte *p) {
  const auto *halves = reinterpret_cast<const __m256i *>(p);
  return {_mm256_loadu_si256(halves), _mm256_loadu_si256(halves + 1)};
}
// A lane as two 16-bit words, or as four bytes.
inline Ints splat_bits(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
inline Ints add_ints(Ints x, Ints y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
inline Ints add_words(Ints x, Ints y) { return {_mm256_add_epi16(x.a, y.a), _mm256_add_epi16(x.b, y.b)}; }
inline Ints and_bits(Ints x, Ints y) { return {_mm256_and_si256(x.a, y.a), _mm256_and_si256(x.b, y.b)}; }
inline Ints xor_bits(Ints x, Ints y) { return {_mm256_xor_si256(x.a, y.a), _mm256_xor_si256(x.b, y.b)}; }
inline Ints shift_words_left(Ints x, int n) { return {_mm256_slli_epi16(x.a, n), _mm256_slli_epi16(x.b, n)}; }
inline Ints shift_words_right(Ints x, int n) { return {_mm256_srai_epi16(x.a, n), _mm256_srai_epi16(x.b, n)}; }
inline Ints dot_words(Ints x, Ints y) { return {_mm256_madd_epi16(x.a, y.a), _mm256_madd_epi16(x.b, y.b)}; }
inline Ints dot_byte_pairs(Bytes codes, Bytes x) { // words
  return {_mm256_maddubs_epi16(codes.a, x.a), _mm256_maddubs_epi16(codes.b, x.b)};
}
// The compiler must not add in another order: it would run out of registers.
[[gnu::always_inline]] inline void keep_order(Ints &x) { asm("" : "+x"(x.a), "+x"(x.b)); }
inline Floats first_bf16(Bytes x) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(x.a, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(x.b, 16))};
}
inline Floats second_bf16(Bytes x) {
  const __m256i mask = _mm256_set1_epi32(-65536);
  return {_mm256_castsi256_ps(_mm256_and_si256(x.a, mask)), _mm256_castsi256_ps(_mm256_and_si256(x.b, mask))};
}
// The low 16 bits of 8 lanes, side by side.
inline __m128i low_words(__m256i x) {
  const __m256i masked = _mm256_and_si256(x, _mm256_set1_epi32(65535));
  return _mm256_castsi256_si128(_mm256_permute4x64_epi64(_mm256_packus_epi32(masked, masked), 0x08));
}
inline Floats first_f16(Bytes x) { return {_mm256_cvtph_ps(low_words(x.a)), _mm256_cvtph_ps(low_words(x.b))}; }
inline Floats second_f16(Bytes x) {
  const __m256i a = _mm256_srli_epi32(x.a, 16), b = _mm256_srli_epi32(x.b, 16);
  return {_mm256_cvtph_ps(low_words(a)), _mm256_cvtph_ps(low_words(b))};
}
inline Bytes low_halves(Bytes x) {
  const __m256i mask = _mm256_set1_epi8(15);
  return {_mm256_and_si256(x.a, mask), _mm256_and_si256(x.b, mask)};
}
inline Bytes high_halves(Bytes x) { return low_halves({_mm256_srli_epi16(x.a, 4), _mm256_srli_epi16(x.b, 4)}); }
inline Bytes look_up(const int8_t *table, Bytes codes) {
  const __m256i levels = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i *>(table)));
  return {_mm256_shuffle_epi8(levels, codes.a), _mm256_shuffle_epi8(levels, codes.b)};
}

#else

// Plain loops over the lanes: for the levels without vectors of our own, the compiler finds what the machine has.
struct Floats { float v[16]; };
struct Ints { int32_t v[16]; };
struct Bytes { uint8_t v[64]; };

#define BZ_LANES(type, expression)                 \
  type out;                                        \
  for (int i = 0; i < 16; i++) out.v[i] = expression; \
  return out
inline Floats zeros() { return {}; }
inline Floats splat(float x) { BZ_LANES(Floats, x); }
inline Floats load_f32(const float *p) { BZ_LANES(Floats, p[i]); }
inline Floats load_f16(const uint16_t *p) { BZ_LANES(Floats, f16_to_f32(p[i])); }
inline void store(float *p, const Floats &x) { std::memcpy(p, x.v, sizeof x.v); }
inline Floats add(const Floats &x, const Floats &y) { BZ_LANES(Floats, x.v[i] + y.v[i]); }
inline Floats mul(const Floats &x, const Floats &y) { BZ_LANES(Floats, x.v[i] * y.v[i]); }
inline Floats fma(const Floats &x, const Floats &y, const Floats &z) {
  BZ_LANES(Floats, __builtin_fmaf(x.v[i], y.v[i], z.v[i]));
}
inline Floats to_floats(const Ints &x) { BZ_LANES(Floats, static_cast<float>(x.v[i])); }
template <int SHIFT> inline Ints join_planes(const Ints &x, const Ints &y) {
  BZ_LANES(Ints, x.v[i] * (1 << SHIFT) + y.v[i]);
}
inline Ints splat_bits(int32_t x) { BZ_LANES(Ints, x); }
inline Bytes load_bytes(const std::byte *p) {
  Bytes out;
  std::memcpy(out.v, p, sizeof out.v);
  return out;
}
inline uint16_t word_of(const Bytes &x, int i) { return static_cast<uint16_t>(x.v[2 * i] | x.v[2 * i + 1] << 8); }
inline Floats first_bf16(const Bytes &x) { BZ_LANES(Floats, bf16_to_f32(word_of(x, 2 * i))); }
inline Floats second_bf16(const Bytes &x) { BZ_LANES(Floats, bf16_to_f32(word_of(x, 2 * i + 1))); }
inline Floats first_f16(const Bytes &x) { BZ_LANES(Floats, f16_to_f32(word_of(x, 2 * i))); }
inline Floats second_f16(const Bytes &x) { BZ_LANES(Floats, f16_to_f32(word_of(x, 2 * i + 1))); }
#undef BZ_LANES
inline Bytes low_halves(const Bytes &x) {
  Bytes out;
  for (int i = 0; i < 64; i++) out.v[i] = x.v[i] & 15;
  return out;
}
inline Bytes high_halves(const Bytes &x) {
  Bytes out;
  for (int i = 0; i < 64; i++) out.v[i] = x.v[i] >> 4;
  return out;
}
inline Bytes look_up(const int8_t *table, const Bytes &codes) {
  Bytes out;
  for (int i = 0; i < 64; i++) out.v[i] = static_cast<uint8_t>(table[codes.v[i]]);
  return out;
}
constexpr int SIGNED_SHIFT = -1;
constexpr bool WIDE_CODES = false;
inline Bytes codes_times_16(const Bytes &codes) { return codes; } // for WIDE_CODES
inline Bytes as_signed_operand(const Bytes &levels) { return levels; }
using Columns = const int8_t *; // four of a token
inline Columns four_columns(const int8_t *x) { return x; }
inline Ints dot_signed(Ints sum, const Bytes &w, Columns x) {
  for (int i = 0; i < 16; i++)
    for (int k = 0; k < 4; k++) sum.v[i] += static_cast<int8_t>(w.v[4 * i + k]) * x[k];
  return sum;
}
inline Ints dot_codes(Ints sum, const Bytes &w, Columns x) {
  for (int i = 0; i < 16; i++)
    for (int k = 0; k < 4; k++) sum.v[i] += w.v[4 * i + k] * x[k];
  return sum;
}

#endif

} // namespace
} // namespace bz
