// Rows of activations to 8 bits, or to 12 in two planes, with a scale a group of 32 columns.
//
// level = round to nearest even of x * (M / m), m the group's largest magnitude and M the largest level; scale = m / M.
// A group that holds a NaN gets the scale NaN, so that no product hides it.
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
#elif defined(__AVX2__)
__m256i max_magnitude(__m256i most, __m256 x) {
  return _mm256_max_epi32(most, _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7fffffff)));
}

float largest_lane(__m256i x) {
  __m128i most = _mm_max_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0x4e));
  most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0xb1));
  return bits_f32(static_cast<uint32_t>(_mm_cvtsi128_si32(most)));
}

int32_t sum_words(__m256i words) {
  const __m256i pairs = _mm256_madd_epi16(words, _mm256_set1_epi16(1));
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
  return _mm_cvtsi128_si32(sum);
}

// 16 levels as words; of each 4 columns the even two come first, as linear_int_words.cc wants them.
__m256i level_words(__m256i a, __m256i b) {
  const __m256i even_first = _mm256_setr_epi8(0, 1, 8, 9, 4, 5, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1, //
                                              0, 1, 8, 9, 4, 5, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1);
  const __m256i both = _mm256_unpacklo_epi64(_mm256_shuffle_epi8(a, even_first), _mm256_shuffle_epi8(b, even_first));
  return _mm256_permute4x64_epi64(both, 0xd8);
}

// Levels are words, of 8 bits or 12: GROUP of them.
template <bool FINE> float quantize_group(const float *x, int8_t *levels, int32_t *lo, int32_t *hi) {
  constexpr float most = FINE ? MAX_FINE_LEVEL : MAX_LEVEL;
  const __m256 a = _mm256_loadu_ps(x), b = _mm256_loadu_ps(x + 8);
  const __m256 c = _mm256_loadu_ps(x + 16), d = _mm256_loadu_ps(x + 24);
  const __m256i zero = _mm256_setzero_si256();
  const float largest = largest_lane(
    _mm256_max_epi32(max_magnitude(max_magnitude(zero, a), b), max_magnitude(max_magnitude(zero, c), d)));
  const __m256 inverse = _mm256_set1_ps(largest == 0 ? 0 : most / largest);
  const auto level = [&](__m256 v) { return _mm256_cvtps_epi32(_mm256_mul_ps(v, inverse)); };
  const __m256i first = level_words(level(a), level(b)), second = level_words(level(c), level(d));
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(levels), first);
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(levels) + 1, second);
  *lo = sum_words(first);
  *hi = sum_words(second);
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

void quantize(const float *x, uint64_t x_stride, uint32_t c, Activations &out, uint64_t begin, uint64_t end) {
  for (uint64_t at = begin; at < end; at++) {
    const uint64_t block = at / out.tile, lane = at % out.tile, g = block % out.groups;
    const uint64_t token = block / out.groups * out.tile + lane;
    if (token >= out.num_tokens) continue; // the last tile may have fewer
    const float *from = x + token * x_stride + g * GROUP;
    float padded[GROUP];
    if ((g + 1) * GROUP > c) { // the last group of a row may be short
      for (uint64_t i = 0; i < GROUP; i++) padded[i] = g * GROUP + i < c ? from[i] : 0;
      from = padded;
    }
    int32_t lo, hi;
    int8_t *levels = out.levels + at * level_bytes(out.planes) * GROUP;
    const float scale =
      out.planes == 2 ? quantize_group<true>(from, levels, &lo, &hi) : quantize_group<false>(from, levels, &lo, &hi);
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
