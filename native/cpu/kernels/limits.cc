// Reads and products with nothing else in their way.
//
// A product keeps as many sums as hide the latency of its instruction. `opaque` hides from the compiler that operands do
// not change and that sums are equal, so that nothing is done once instead of every time.
#include "../kernels.h"
#include "../limit_kernels.h"
#include "vec.h"

namespace bz::BZ_LEVEL {
namespace {

constexpr uint32_t ROUNDS = 1024;

#if defined(__x86_64__)
template <class V> BZ_INLINE void opaque(V &v) { asm volatile("" : "+v"(v)); }
#elif defined(__aarch64__)
template <class V> BZ_INLINE void opaque(V &v) { asm volatile("" : "+w"(v)); }
#else
template <class V> BZ_INLINE void opaque(V &v) { asm volatile("" : "+m"(v)); }
#endif

void read(const std::byte *data, uint64_t bytes) {
  constexpr uint32_t SUMS = 8;
  U sums[SUMS] = {};
  for (uint64_t at = 0; at < bytes; at += SUMS * sizeof(U))
#pragma GCC unroll 8
    for (uint32_t i = 0; i < SUMS; i++) sums[i] ^= load_bits(data + at + i * sizeof(U));
#pragma GCC unroll 8
  for (uint32_t i = 0; i < SUMS; i++) opaque(sums[i]);
}

constexpr uint32_t CHAINS = 12;

// `step` adds a * b to one of CHAINS sums, with all of them, its operands and what it needs in between in registers;
// `products` are the multiply-adds it does.
template <class Sum, class Operand, class Step>
BZ_INLINE uint64_t multiply(Sum zero, Operand a, Operand b, uint32_t products, Step step) {
  Sum sums[CHAINS];
#pragma GCC unroll 12
  for (uint32_t i = 0; i < CHAINS; i++) sums[i] = zero;
  for (uint32_t round = 0; round < ROUNDS; round++) {
#pragma GCC unroll 12
    for (uint32_t i = 0; i < CHAINS; i++) {
      step(sums[i], a, b);
      opaque(sums[i]);
    }
  }
  return uint64_t{ROUNDS} * CHAINS * products;
}

uint64_t f32() {
  return multiply(F{}, set(1.0f), set(1.0f), W, [](F &sum, F a, F b) { sum = fma(a, b, sum); });
}

#if defined(__AMX_TILE__)

// Two operands of 16 rows of 64 bytes a side: four sums, as a real product has them.
template <class Step> uint64_t multiply_tiles(uint32_t products, Step step) {
  struct {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
  } config;
  for (int i = 0; i < 8; i++) config.row_bytes[i] = 64, config.rows[i] = 16;
  asm volatile("" ::: "memory");
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (uint32_t round = 0; round < ROUNDS; round++) step();
  _tile_release();
  return uint64_t{ROUNDS} * 4 * products;
}

uint64_t bf16() {
  return multiply_tiles(16 * 16 * 32, [] {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  });
}
uint64_t int8() {
  return multiply_tiles(16 * 16 * 64, [] {
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    _tile_dpbssd(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
  });
}

#elif defined(__AVX512VNNI__)

uint64_t bf16() {
  const __m512bh one = (__m512bh)_mm512_set1_epi32(0x3f803f80);
  return multiply(_mm512_setzero_ps(), one, one, 32,
                  [](__m512 &sum, __m512bh a, __m512bh b) { sum = _mm512_dpbf16_ps(sum, a, b); });
}
uint64_t int8() {
  const __m512i one = _mm512_set1_epi8(1);
  return multiply(_mm512_setzero_si512(), one, one, 64,
                  [](__m512i &sum, __m512i a, __m512i b) { sum = _mm512_dpbusd_epi32(sum, a, b); });
}

#elif defined(__AVX512F__)

uint64_t int8() {
  const __m512i one = _mm512_set1_epi8(1), words = _mm512_set1_epi16(1);
  return multiply(_mm512_setzero_si512(), one, one, 64, [words](__m512i &sum, __m512i &a, __m512i b) {
    opaque(a);
    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(a, b), words));
  });
}

#elif defined(__AVX2__)

uint64_t int8() {
  const __m256i one = _mm256_set1_epi8(1), words = _mm256_set1_epi16(1);
  return multiply(_mm256_setzero_si256(), one, one, 32, [words](__m256i &sum, __m256i &a, __m256i b) {
    opaque(a);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), words));
  });
}

#elif defined(__ARM_FEATURE_DOTPROD)

uint64_t int8() {
  const int8x16_t one = vdupq_n_s8(1);
  return multiply(vdupq_n_s32(0), one, one, 16,
                  [](int32x4_t &sum, int8x16_t a, int8x16_t b) { sum = vdotq_s32(sum, a, b); });
}

#else

// Without an instruction for bytes: 32-bit lanes.
uint64_t int8() {
  return multiply(I{}, I{} + 1, I{} + 1, W, [](I &sum, I &a, I b) {
    opaque(a);
    sum += a * b;
  });
}

#endif

} // namespace

extern const LimitKernels limit_kernels = {
    .read = read,
    .f32 = f32,
#if defined(__AVX512BF16__)
    .bf16 = bf16,
#else
    .bf16 = nullptr,
#endif
    .int8 = int8,
};

} // namespace bz::BZ_LEVEL
