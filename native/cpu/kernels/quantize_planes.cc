// Rows of activations to 8 bits, or to 12 in two planes, with a scale a group of 32 columns.
//
// level = round to nearest even of x * (M / m), m the group's largest magnitude and M the largest level; scale = m / M.
// A group that holds a NaN gets the scale NaN, so that no product hides it.
#include "activations.h"
#if !BZ_HAS_WORDS // quantize_words.cc
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

template <int SHIFT> void store_planes(int8_t *to, __m512i levels) {
  const __m512i first = _mm512_srai_epi32(_mm512_add_epi32(levels, _mm512_set1_epi32(1 << (SHIFT - 1))), SHIFT);
  store_levels(to, first);
  store_levels(to + GROUP, _mm512_sub_epi32(levels, _mm512_slli_epi32(first, SHIFT)));
}

// The levels of one cell.
template <bool FINE> struct Levels {
  __m512i lo, hi;
  float scale;

  explicit Levels(const float *x) {
    constexpr float most = FINE ? MAX_FINE_LEVEL : MAX_LEVEL;
    const __m512 a = _mm512_loadu_ps(x), b = _mm512_loadu_ps(x + 16);
    const float largest = largest_magnitude(a, b);
    const __m512 inverse = _mm512_set1_ps(largest == 0 ? 0 : most / largest);
    lo = _mm512_cvtps_epi32(_mm512_mul_ps(a, inverse)), hi = _mm512_cvtps_epi32(_mm512_mul_ps(b, inverse));
    scale = largest / most;
    // NaN and infinity have no level, the scale tells of them: what the conversion gives would overflow the sums.
    if (!__builtin_isfinite(largest)) lo = hi = _mm512_setzero_si512();
  }

  int32_t sum_lo() const { return _mm512_reduce_add_epi32(lo); }
  int32_t sum_hi() const { return _mm512_reduce_add_epi32(hi); }
  int32_t sum() const { return _mm512_reduce_add_epi32(_mm512_add_epi32(lo, hi)); }

  template <int SHIFT> void store(int8_t *to) const {
    if constexpr (FINE) {
      store_planes<SHIFT>(to, lo);
      store_planes<SHIFT>(to + 16, hi);
    } else {
      store_levels(to, lo);
      store_levels(to + 16, hi);
    }
  }
};
#else
template <bool FINE> struct Levels {
  int32_t levels[GROUP];
  float scale;

  explicit Levels(const float *x) {
    constexpr float most = FINE ? MAX_FINE_LEVEL : MAX_LEVEL;
    uint32_t bits = 0;
    for (uint32_t i = 0; i < GROUP; i++) {
      const uint32_t magnitude = f32_bits(x[i]) & 0x7fffffffu;
      bits = magnitude > bits ? magnitude : bits;
    }
    const float largest = bits_f32(bits), inverse = largest == 0 ? 0 : most / largest;
    for (uint32_t i = 0; i < GROUP; i++) levels[i] = static_cast<int32_t>(__builtin_lrintf(x[i] * inverse));
    scale = largest / most;
  }

  int32_t sum_of(uint32_t begin, uint32_t end) const {
    int32_t sum = 0;
    for (uint32_t i = begin; i < end; i++) sum += levels[i];
    return sum;
  }
  int32_t sum_lo() const { return sum_of(0, GROUP / 2); }
  int32_t sum_hi() const { return sum_of(GROUP / 2, GROUP); }
  int32_t sum() const { return sum_of(0, GROUP); }

  template <int SHIFT> void store(int8_t *to) const {
    for (uint32_t i = 0; i < GROUP; i++) {
      const int32_t first = FINE ? (levels[i] + (1 << (SHIFT - 1))) >> SHIFT : levels[i];
      to[i] = static_cast<int8_t>(first);
      if constexpr (FINE) to[GROUP + i] = static_cast<int8_t>(levels[i] - first * (1 << SHIFT));
    }
  }
};
#endif

// Which sums of levels some product reads.
struct Needs {
  bool sums, half_sums;

  explicit Needs(const Activations &out) : sums(out.sum != nullptr), half_sums(out.half_sum != nullptr) {
    for (const int32_t *start : out.start) sums = sums || start != nullptr;
    for (const int32_t *start : out.half_start) half_sums = half_sums || start != nullptr;
  }
};

// `half`: of the cell's first half.
template <bool FINE>
void quantize_cell(const Activations &out, const Needs &needs, uint64_t at, uint64_t half, const float *x) {
  const Levels<FINE> levels(x);
  const uint64_t bytes = at * out.planes * GROUP;
  if (out.code_levels != nullptr) levels.template store<CODE_SHIFT>(out.code_levels + bytes);
  if (out.byte_levels != nullptr) levels.template store<BYTE_SHIFT>(out.byte_levels + bytes);
  out.scale[at] = levels.scale;
  if (needs.sums) {
    const int32_t sum = levels.sum();
    if (out.sum != nullptr) out.sum[at] = levels.scale * static_cast<float>(sum);
    for (int shift = 0; shift <= MAX_OPERAND_SHIFT; shift++)
      if (out.start[shift] != nullptr) out.start[shift][at] = -sum * (1 << shift);
  }
  if (!needs.half_sums) return;
  const int32_t lo = levels.sum_lo(), hi = levels.sum_hi();
  if (out.half_sum != nullptr) {
    out.half_sum[half] = levels.scale * static_cast<float>(lo);
    out.half_sum[half + out.tile] = levels.scale * static_cast<float>(hi);
  }
  for (int shift = 0; shift <= MAX_OPERAND_SHIFT; shift++) {
    if (out.half_start[shift] == nullptr) continue;
    out.half_start[shift][half] = -lo * (1 << shift);
    out.half_start[shift][half + out.tile] = -hi * (1 << shift);
  }
}

} // namespace

void quantize(const float *x, uint64_t x_stride, uint32_t c, const Activations &out, uint64_t begin, uint64_t end) {
  const Needs needs(out);
  for_each_cell(out, x, x_stride, c, begin, end, [&](uint64_t at, uint64_t half, const float *from) {
    // The tokens of a tile are rows apart: their next columns come from memory unasked only once a row is read on.
    __builtin_prefetch(from + 2 * GROUP);
    __builtin_prefetch(from + 2 * GROUP + 16);
    if (out.planes == 2) quantize_cell<true>(out, needs, at, half, from);
    else quantize_cell<false>(out, needs, at, half, from);
  });
}

} // namespace bz::BZ_LEVEL
#endif
