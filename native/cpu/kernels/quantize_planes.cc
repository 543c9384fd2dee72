// Rows of activations to 8 bits, or to 12 in two planes, with a scale a group of 32 columns.
//
// level = round to nearest even of x * (M / m), m the group's largest magnitude and M the largest level; scale = m / M.
// A group that holds a NaN gets the scale NaN, so that no product hides it.
#if !defined(BZ_LEVEL_avx2) // quantize_words.cc
#include "lanes.h"
#include "linear_parts.h"

namespace bz::BZ_LEVEL {
namespace {

// Magnitudes are compared as integers: their order is that of the floats, and NaN is above infinity.
#if defined(__AVX512F__)
float largest_magnitude(__m512 a, __m512 b) {
  const __m512i mask = _mm512_set1_epi32(0x7fffffff);
  const __m512i first = _mm512_and_si512(_mm512_castps_si512(a), mask);
  const __m512i second = _mm512_and_si512(_mm512_castps_si512(b), mask);
  return bits_f32(static_cast<uint32_t>(_mm512_reduce_max_epi32(_mm512_max_epi32(first, second))));
}

void store_levels(int8_t *to, __m512i levels) {
  _mm_storeu_si128(reinterpret_cast<__m128i *>(to), _mm512_cvtepi32_epi8(levels));
}

template <bool FINE> void store_half(int8_t *to, __m512i levels) {
  if constexpr (FINE) {
    const __m512i first = _mm512_srai_epi32(_mm512_add_epi32(levels, _mm512_set1_epi32(8)), PLANE_SHIFT);
    store_levels(to, first);
    store_levels(to + GROUP, _mm512_sub_epi32(levels, _mm512_slli_epi32(first, PLANE_SHIFT)));
  } else {
    store_levels(to, levels);
  }
}

// Returns the scale; the sums of both halves' levels in lo and hi. The second plane follows the first.
template <bool FINE> float quantize_group(const float *x, int8_t *levels, int32_t *lo, int32_t *hi) {
  constexpr float most = FINE ? MAX_FINE_LEVEL : MAX_LEVEL;
  const __m512 a = _mm512_loadu_ps(x), b = _mm512_loadu_ps(x + 16);
  const float largest = largest_magnitude(a, b);
  const __m512 inverse = _mm512_set1_ps(largest == 0 ? 0 : most / largest);
  const __m512i ia = _mm512_cvtps_epi32(_mm512_mul_ps(a, inverse)), ib = _mm512_cvtps_epi32(_mm512_mul_ps(b, inverse));
  store_half<FINE>(levels, ia);
  store_half<FINE>(levels + 16, ib);
  *lo = _mm512_reduce_add_epi32(ia);
  *hi = _mm512_reduce_add_epi32(ib);
  return largest / most;
}
#else
template <bool FINE> float quantize_group(const float *x, int8_t *levels, int32_t *lo, int32_t *hi) {
  constexpr float most = FINE ? MAX_FINE_LEVEL : MAX_LEVEL;
  uint32_t bits = 0;
  for (int i = 0; i < 32; i++) {
    const uint32_t magnitude = f32_bits(x[i]) & 0x7fffffffu;
    bits = magnitude > bits ? magnitude : bits;
  }
  const float largest = bits_f32(bits), inverse = largest == 0 ? 0 : most / largest;
  int32_t sums[2] = {0, 0};
  for (int i = 0; i < 32; i++) {
    const int32_t level = static_cast<int32_t>(__builtin_lrintf(x[i] * inverse));
    const int32_t first = FINE ? (level + 8) >> PLANE_SHIFT : level;
    levels[i] = static_cast<int8_t>(first);
    if constexpr (FINE) levels[GROUP + i] = static_cast<int8_t>(level - first * (1 << PLANE_SHIFT));
    sums[i / 16] += level;
  }
  *lo = sums[0];
  *hi = sums[1];
  return largest / most;
}
#endif

} // namespace

void quantize(const float *x, uint64_t x_stride, uint32_t c, const Activations &out, uint64_t begin, uint64_t end) {
  for_each_cell(out, x, x_stride, c, begin, end, [&](uint64_t at, uint64_t half, const float *from) {
    int32_t lo, hi;
    int8_t *levels = out.levels + at * out.planes * GROUP;
    const float scale =
      out.planes == 2 ? quantize_group<true>(from, levels, &lo, &hi) : quantize_group<false>(from, levels, &lo, &hi);
    out.scale[at] = scale;
    out.sum[at] = scale * static_cast<float>(lo + hi);
    out.minus_sum[at] = -(lo + hi);
    out.half_sum[half] = scale * static_cast<float>(lo);
    out.half_sum[half + out.tile] = scale * static_cast<float>(hi);
    out.minus_half_sum[half] = -lo;
    out.minus_half_sum[half + out.tile] = -hi;
  });
}

} // namespace bz::BZ_LEVEL
#endif
