// Rows of activations to int8 with a scale a group of 32 columns.
//
// level = round to nearest even of x * (127 / m), m the group's largest magnitude; scale = m / 127. A group that holds
// a NaN gets the scale NaN, so that no product hides it.
#include "linear_parts.h"
#include "lanes.h"

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

// Returns the sums of both halves' levels in lo and hi.
float quantize_group(const float *x, int8_t *levels, int32_t *lo, int32_t *hi) {
  const __m512 a = _mm512_loadu_ps(x), b = _mm512_loadu_ps(x + 16);
  const float largest = largest_magnitude(a, b);
  const __m512 inverse = _mm512_set1_ps(largest == 0 ? 0 : 127.0f / largest);
  const __m512i ia = _mm512_cvtps_epi32(_mm512_mul_ps(a, inverse)), ib = _mm512_cvtps_epi32(_mm512_mul_ps(b, inverse));
  _mm_storeu_si128(reinterpret_cast<__m128i *>(levels), _mm512_cvtepi32_epi8(ia));
  _mm_storeu_si128(reinterpret_cast<__m128i *>(levels + 16), _mm512_cvtepi32_epi8(ib));
  *lo = _mm512_reduce_add_epi32(ia);
  *hi = _mm512_reduce_add_epi32(ib);
  return largest / 127.0f;
}
#else
float quantize_group(const float *x, int8_t *levels, int32_t *lo, int32_t *hi) {
  uint32_t bits = 0;
  for (int i = 0; i < 32; i++) {
    const uint32_t magnitude = f32_bits(x[i]) & 0x7fffffffu;
    bits = magnitude > bits ? magnitude : bits;
  }
  const float largest = bits_f32(bits), inverse = largest == 0 ? 0 : 127.0f / largest;
  int32_t sums[2] = {0, 0};
  for (int i = 0; i < 32; i++) {
    const long level = __builtin_lrintf(x[i] * inverse);
    levels[i] = static_cast<int8_t>(level);
    sums[i / 16] += levels[i];
  }
  *lo = sums[0];
  *hi = sums[1];
  return largest / 127.0f;
}
#endif

} // namespace

void quantize(const float *x, uint64_t x_stride, uint32_t c, Activations &out, uint64_t item_begin, uint64_t item_end) {
  for (uint64_t item = item_begin; item < item_end; item++) {
    const uint64_t token = item / out.groups, g = item % out.groups;
    const float *from = x + token * x_stride + g * GROUP;
    float padded[GROUP];
    if ((g + 1) * GROUP > c) { // the last group of a row may be short
      for (uint64_t i = 0; i < GROUP; i++) padded[i] = g * GROUP + i < c ? from[i] : 0;
      from = padded;
    }
    const uint64_t block = (token / out.tile * out.groups + g), lane = token % out.tile, at = block * out.tile + lane;
    int32_t lo, hi;
    const float scale = quantize_group(from, out.levels + at * GROUP, &lo, &hi);
    out.scale[at] = scale;
    out.sum[at] = scale * static_cast<float>(lo + hi);
    out.minus_sum[at] = -(lo + hi);
    const uint64_t half = block * 2 * out.tile + lane;
    out.half_sum[half] = scale * static_cast<float>(lo);
    out.half_sum[half + out.tile] = scale * static_cast<float>(hi);
    out.minus_half_sum[half] = -lo;
    out.minus_half_sum[half + out.tile] = -hi;
  }
}

} // namespace bz::BZ_LEVEL
