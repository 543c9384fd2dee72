// Reads and products with nothing else in their way.
//
// A product keeps as many sums as hide the latency of its instruction. `opaque` hides from the compiler that operands
// do not change and that sums are equal, so that nothing is done once instead of every time.
#include "../kernels.h"
#include "../limit_kernels.h"
#include "vec.h"

#if defined(__AMX_TILE__)
#include "amx_tiles.h"
#endif

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

// Two operands of 16 rows of 64 bytes a side: four sums, as a real product has them. Operands are loaded anew each
// round and their bits differ: with tiles of zeros, or always the same, the unit draws less power and the processor
// keeps a frequency that no real product has.
template <class Step> uint64_t multiply_tiles(uint16_t fixed_bits, uint16_t random_bits, uint32_t products, Step step) {
  constexpr uint32_t TILES = 16, WORDS = 512; // of 1 KB, in the first-level cache
  alignas(64) uint16_t operands[TILES * WORDS];
  uint32_t state = 1;
  for (uint16_t &word : operands) {
    state = state * 1664525 + 1013904223;
    word = static_cast<uint16_t>(fixed_bits | (state >> 16 & random_bits));
  }
  const TileConfig config(16);
  zero_tile<0>();
  zero_tile<1>();
  zero_tile<2>();
  zero_tile<3>();
  for (uint32_t round = 0; round < ROUNDS; round++) {
    const uint16_t *at = operands + round * 4 % TILES * WORDS;
    load_tile<4>(at, 64);
    load_tile<5>(at + WORDS, 64);
    load_tile<6>(at + 2 * WORDS, 64);
    load_tile<7>(at + 3 * WORDS, 64);
    step();
  }
  return uint64_t{ROUNDS} * 4 * products;
}

uint64_t bf16() { // of both signs, magnitudes in [1, 2)
  return multiply_tiles(0x3f80, 0x807f, 16 * 16 * 32, [] {
    dot_bf16<0, 4, 6>();
    dot_bf16<1, 4, 7>();
    dot_bf16<2, 5, 6>();
    dot_bf16<3, 5, 7>();
  });
}
uint64_t int8() {
  return multiply_tiles(0, 0xffff, 16 * 16 * 64, [] {
    dot_ss<0, 4, 6>();
    dot_ss<1, 4, 7>();
    dot_ss<2, 5, 6>();
    dot_ss<3, 5, 7>();
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
