// Vectors of float32 as wide as the level's registers, so that a kernel is written once.
//
// F is a compiler vector of W lanes: + - * / and comparisons work on it; what they do not cover is here. Products and
// sums are fused only where fma() says so (and fma() is one rounding only where the level has the instruction).
#pragma once
#include <cstdint>
#include <cstring>

#include "../../common/dtype.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace bz::BZ_LEVEL {

#if defined(__AVX512F__)
constexpr uint32_t W = 16, NUM_REGISTERS = 32;
#elif defined(__AVX2__)
constexpr uint32_t W = 8, NUM_REGISTERS = 16;
#elif defined(__aarch64__)
constexpr uint32_t W = 4, NUM_REGISTERS = 32;
#else
constexpr uint32_t W = 4, NUM_REGISTERS = 16;
#endif

typedef float F __attribute__((vector_size(W * 4)));
typedef int32_t I __attribute__((vector_size(W * 4)));
typedef uint32_t U __attribute__((vector_size(W * 4)));
typedef uint16_t H __attribute__((vector_size(W * 2)));

#define BZ_INLINE [[gnu::always_inline]] static inline

BZ_INLINE F set(float x) {
#if defined(__AVX512F__)
  return _mm512_set1_ps(x);
#elif defined(__AVX2__)
  return _mm256_set1_ps(x);
#elif defined(__x86_64__)
  return _mm_set1_ps(x);
#elif defined(__aarch64__)
  return (F)vdupq_n_f32(x);
#else
  return F{x, x, x, x};
#endif
}
BZ_INLINE U set_bits(uint32_t x) { return U{} + x; }

BZ_INLINE F load(const float *p) {
  F v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
BZ_INLINE U load_bits(const void *p) {
  U v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
BZ_INLINE void store(float *p, F v) { std::memcpy(p, &v, sizeof v); }

// The first n < W values; the other lanes are `fill`.
BZ_INLINE F load_first(const float *p, uint64_t n, float fill = 0) {
#if defined(__AVX512F__)
  return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), static_cast<__mmask16>((1u << n) - 1), p);
#else
  float part[W];
  for (uint32_t i = 0; i < W; i++) part[i] = i < n ? p[i] : fill;
  return load(part);
#endif
}
BZ_INLINE void store_first(float *p, uint64_t n, F v) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), v);
#else
  float part[W];
  store(part, v);
  for (uint32_t i = 0; i < n; i++) p[i] = part[i];
#endif
}

BZ_INLINE F fma(F a, F b, F c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
  return _mm256_fmadd_ps(a, b, c);
#elif defined(__aarch64__)
  return (F)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}

// The second operand where either is NaN (x86's rule).
BZ_INLINE F max(F a, F b) {
#if defined(__AVX512F__)
  return _mm512_max_ps(a, b);
#elif defined(__AVX2__)
  return _mm256_max_ps(a, b);
#elif defined(__x86_64__)
  return _mm_max_ps(a, b);
#else
  return a > b ? a : b;
#endif
}
BZ_INLINE F min(F a, F b) {
#if defined(__AVX512F__)
  return _mm512_min_ps(a, b);
#else
  return a < b ? a : b;
#endif
}

// 0, 1, 2, ... W - 1
BZ_INLINE I lane_numbers() {
  I v;
  for (uint32_t i = 0; i < W; i++) v[i] = static_cast<int32_t>(i);
  return v;
}

// Halves are added or compared, then their halves: one fixed order.
BZ_INLINE float sum_lanes(F v) {
#pragma GCC unroll 4
  for (uint32_t half = W / 2; half > 0; half /= 2)
    v = v + __builtin_shuffle(v, lane_numbers() ^ static_cast<int32_t>(half));
  return v[0];
}
BZ_INLINE float max_lanes(F v) {
#pragma GCC unroll 4
  for (uint32_t half = W / 2; half > 0; half /= 2)
    v = max(v, __builtin_shuffle(v, lane_numbers() ^ static_cast<int32_t>(half)));
  return v[0];
}
// One bit a lane whose comparison held (comparisons give 0 or -1 a lane).
BZ_INLINE uint32_t lane_bits(I condition) {
#if defined(__AVX512F__)
  return _mm512_movepi32_mask((__m512i)condition);
#elif defined(__AVX2__)
  return static_cast<uint32_t>(_mm256_movemask_ps((__m256)condition));
#elif defined(__x86_64__)
  return static_cast<uint32_t>(_mm_movemask_ps((__m128)condition));
#else
  uint32_t bits = 0;
  for (uint32_t i = 0; i < W; i++) bits |= static_cast<uint32_t>(condition[i] & 1) << i;
  return bits;
#endif
}

// bfloat16 in memory.
BZ_INLINE F load_bf16(const uint16_t *p) {
  H half;
  std::memcpy(&half, p, sizeof half);
  return (F)(__builtin_convertvector(half, U) << 16);
}
// Round to nearest even, NaN stays NaN.
BZ_INLINE U to_bf16_bits(F v) {
  const U bits = (U)v, rounded = (bits + 0x7fffu + ((bits >> 16) & 1)) >> 16;
  return v == v ? rounded : (bits >> 16) | 0x40;
}

// exp(x) to 2 ulp in float32's normal range; 0 below it (for -inf too), about 2.4e38 at most, NaN undefined.
// Source: the reduction and coefficients of Cephes expf.
BZ_INLINE F exp(F x) {
  const F clamped = max(min(x, set(88.37626f)), set(-87.33654f));
#if defined(__AVX512F__)
  const F n = _mm512_roundscale_ps(clamped * 1.44269504088896341f, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  const F n = (clamped * 1.44269504088896341f + 12582912.0f) - 12582912.0f; // adding 1.5 * 2^23 rounds to an integer
#endif
  F r = fma(n, set(-0.693359375f), clamped);
  r = fma(n, set(2.12194440e-4f), r);
  F p = set(1.9875691500e-4f);
  p = fma(p, r, set(1.3981999507e-3f));
  p = fma(p, r, set(8.3334519073e-3f));
  p = fma(p, r, set(4.1665795894e-2f));
  p = fma(p, r, set(1.6666665459e-1f));
  p = fma(p, r, set(5.0000001201e-1f));
  p = fma(p, r * r, r) + 1.0f;
#if defined(__AVX512F__)
  const __mmask16 normal = _mm512_cmp_ps_mask(x, set(-87.33654f), _CMP_GE_OQ); // subnormal results would be slow
  return _mm512_maskz_scalef_ps(normal, p, n);
#else
  const F result = (F)((I)p + (__builtin_convertvector(n, I) << 23));
  return x < -87.33654f ? F{} : result;
#endif
}

// tanh(x) to about 1e-7 absolute.
BZ_INLINE F tanh(F x) { return 1.0f - 2.0f / (exp(2.0f * x) + 1.0f); }

} // namespace bz::BZ_LEVEL
