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

constexpr uint32_t BATCH = 16; // cells at a time: a lane each for what there is one of

// Consecutive cells from `at` on, n of them.
struct Cells {
  uint64_t at;
  uint32_t n = 0;
  const float *x[BATCH];
  uint64_t half[BATCH]; // of each one's first half
};

// What there is one of a cell. Of halves, the first and the second.
struct Lanes {
  alignas(64) float scale[BATCH];
  alignas(64) int32_t sum[BATCH], half_sum[2][BATCH];
};

// Which sums of levels some product reads.
struct Needs {
  bool sums, half_sums;

  explicit Needs(const Activations &out) : sums(out.sum != nullptr), half_sums(out.half_sum != nullptr) {
    for (const int32_t *start : out.start) sums = sums || start != nullptr;
    for (const int32_t *start : out.half_start) half_sums = half_sums || start != nullptr;
  }
};

// Magnitudes are compared as integers: their order is that of the floats, and NaN is above infinity.
#if defined(__AVX512F__)
// Lane i of the result is all lanes of v[i] together.
template <class Join> [[gnu::always_inline]] inline __m512i join_lanes(const __m512i (&v)[BATCH], Join join) {
  __m512i of_four[4];
#pragma GCC unroll 4
  for (uint32_t i = 0; i < 4; i++) {
    const auto pair = [&](uint32_t k) {
      return join(_mm512_unpacklo_epi32(v[k], v[k + 1]), _mm512_unpackhi_epi32(v[k], v[k + 1]));
    };
    const __m512i first = pair(4 * i), second = pair(4 * i + 2);
    of_four[i] = join(_mm512_unpacklo_epi64(first, second), _mm512_unpackhi_epi64(first, second));
  }
  const auto fold = [&](__m512i a, __m512i b) {
    return join(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xdd));
  };
  return fold(fold(of_four[0], of_four[1]), fold(of_four[2], of_four[3]));
}

__m512i sums_of(const __m512i (&v)[BATCH]) {
  return join_lanes(v, [](__m512i a, __m512i b) { return _mm512_add_epi32(a, b); });
}

__m512i larger_magnitude(const float *x) {
  const __m512i mask = _mm512_set1_epi32(0x7fffffff);
  const __m512i a = _mm512_and_si512(_mm512_loadu_si512(x), mask);
  return _mm512_max_epi32(a, _mm512_and_si512(_mm512_loadu_si512(x + 16), mask));
}

void store_bytes(int8_t *to, __m512i words) {
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), _mm512_cvtepi16_epi8(words));
}

// 32 levels as words.
template <bool FINE, int SHIFT> void store_levels(int8_t *to, __m512i levels) {
  if constexpr (!FINE) return store_bytes(to, levels);
  const __m512i first = _mm512_srai_epi16(_mm512_add_epi16(levels, _mm512_set1_epi16(1 << (SHIFT - 1))), SHIFT);
  store_bytes(to, first);
  store_bytes(to + GROUP, _mm512_sub_epi16(levels, _mm512_slli_epi16(first, SHIFT)));
}

template <bool FINE>
void quantize_levels(const Activations &out, const Needs &needs, const Cells &cells, Lanes &lanes) {
  constexpr float most = FINE ? MAX_FINE_LEVEL : MAX_LEVEL;
  __m512i v[BATCH], halves[BATCH];
  for (uint32_t i = cells.n; i < BATCH; i++) v[i] = halves[i] = _mm512_setzero_si512();
  for (uint32_t i = 0; i < cells.n; i++) v[i] = larger_magnitude(cells.x[i]);
  const __m512 largest =
    _mm512_castsi512_ps(join_lanes(v, [](__m512i a, __m512i b) { return _mm512_max_epi32(a, b); }));
  const __mmask16 is_zero = _mm512_cmp_ps_mask(largest, _mm512_setzero_ps(), _CMP_EQ_OQ);
  // NaN and infinity have no level, the scale tells of them: what the conversion gives would overflow the sums.
  const __mmask16 is_finite = _mm512_cmp_ps_mask(largest, _mm512_set1_ps(__FLT_MAX__), _CMP_LE_OQ);
  alignas(64) float inverse[BATCH];
  _mm512_store_ps(inverse, _mm512_mask_div_ps(_mm512_setzero_ps(), static_cast<__mmask16>(~is_zero),
                                              _mm512_set1_ps(most), largest));
  _mm512_store_ps(lanes.scale, _mm512_div_ps(largest, _mm512_set1_ps(most)));
  const __m512i in_order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7); // after a pack, which is one of each 128 bits
  for (uint32_t i = 0; i < cells.n; i++) {
    const __m512 factor = _mm512_set1_ps(inverse[i]);
    const auto has_levels = static_cast<__mmask16>(is_finite >> i & 1 ? 0xffff : 0);
    const __m512i lo = _mm512_maskz_cvtps_epi32(has_levels, _mm512_mul_ps(_mm512_loadu_ps(cells.x[i]), factor));
    const __m512i hi = _mm512_maskz_cvtps_epi32(has_levels, _mm512_mul_ps(_mm512_loadu_ps(cells.x[i] + 16), factor));
    const __m512i words = _mm512_permutexvar_epi64(in_order, _mm512_packs_epi32(lo, hi));
    const uint64_t bytes = (cells.at + i) * out.planes * GROUP;
    if (out.code_levels != nullptr) store_levels<FINE, CODE_SHIFT>(out.code_levels + bytes, words);
    if (out.byte_levels != nullptr) store_levels<FINE, BYTE_SHIFT>(out.byte_levels + bytes, words);
    v[i] = lo, halves[i] = hi;
  }
  if (needs.half_sums) {
    _mm512_store_si512(lanes.half_sum[0], sums_of(v));
    _mm512_store_si512(lanes.half_sum[1], sums_of(halves));
  }
  for (uint32_t i = 0; i < cells.n; i++) v[i] = _mm512_add_epi32(v[i], halves[i]);
  _mm512_store_si512(lanes.sum, sums_of(v));
}
#else
template <bool FINE>
void quantize_levels(const Activations &out, const Needs &, const Cells &cells, Lanes &lanes) {
  constexpr float most = FINE ? MAX_FINE_LEVEL : MAX_LEVEL;
  const auto store = [&](int8_t *to, int32_t level, int shift) {
    const int32_t first = FINE ? (level + (1 << (shift - 1))) >> shift : level;
    to[0] = static_cast<int8_t>(first);
    if constexpr (FINE) to[GROUP] = static_cast<int8_t>(level - first * (1 << shift));
  };
  for (uint32_t cell = 0; cell < cells.n; cell++) {
    const float *x = cells.x[cell];
    uint32_t bits = 0;
    for (uint32_t i = 0; i < GROUP; i++) {
      const uint32_t magnitude = f32_bits(x[i]) & 0x7fffffffu;
      bits = magnitude > bits ? magnitude : bits;
    }
    const float largest = bits_f32(bits), inverse = largest == 0 ? 0 : most / largest;
    const uint64_t bytes = (cells.at + cell) * out.planes * GROUP;
    int32_t sums[2] = {};
    for (uint32_t i = 0; i < GROUP; i++) {
      const auto level = static_cast<int32_t>(__builtin_lrintf(x[i] * inverse));
      sums[i / (GROUP / 2)] += level;
      if (out.code_levels != nullptr) store(out.code_levels + bytes + i, level, CODE_SHIFT);
      if (out.byte_levels != nullptr) store(out.byte_levels + bytes + i, level, BYTE_SHIFT);
    }
    lanes.scale[cell] = largest / most;
    lanes.sum[cell] = sums[0] + sums[1];
    lanes.half_sum[0][cell] = sums[0], lanes.half_sum[1][cell] = sums[1];
  }
}
#endif

template <bool FINE> void quantize_cells(const Activations &out, const Needs &needs, const Cells &cells) {
  Lanes lanes;
  quantize_levels<FINE>(out, needs, cells, lanes);
  const auto to_each = [&](auto *to, auto value) {
    if (to == nullptr) return;
    to += cells.at;
    if (cells.n == BATCH) // a loop that the compiler makes vectors of
      for (uint32_t i = 0; i < BATCH; i++) to[i] = value(i);
    else
      for (uint32_t i = 0; i < cells.n; i++) to[i] = value(i);
  };
  to_each(out.scale, [&](uint32_t i) { return lanes.scale[i]; });
  to_each(out.sum, [&](uint32_t i) { return lanes.scale[i] * static_cast<float>(lanes.sum[i]); });
  for (int shift = 0; shift <= MAX_OPERAND_SHIFT; shift++)
    to_each(out.start[shift], [&](uint32_t i) { return -lanes.sum[i] * (1 << shift); });
  if (!needs.half_sums) return;
  const auto to_halves = [&](auto *to, auto value) {
    if (to == nullptr) return;
    for (uint32_t i = 0; i < cells.n; i++)
      for (uint32_t half = 0; half < 2; half++)
        to[cells.half[i] + half * out.tile] = value(lanes.scale[i], lanes.half_sum[half][i]);
  };
  to_halves(out.half_sum, [](float scale, int32_t sum) { return scale * static_cast<float>(sum); });
  for (int shift = 0; shift <= MAX_OPERAND_SHIFT; shift++)
    to_halves(out.half_start[shift], [&](float, int32_t sum) { return -sum * (1 << shift); });
}

} // namespace

void quantize(const float *x, uint64_t x_stride, uint32_t c, const Activations &out, uint64_t begin, uint64_t end) {
  const Needs needs(out);
  const bool is_whole = c % GROUP == 0; // else the columns of a row's last cell are there until the next cell only
  Cells cells;
  const auto finish = [&]() {
    if (cells.n == 0) return;
    if (out.planes == 2) quantize_cells<true>(out, needs, cells);
    else quantize_cells<false>(out, needs, cells);
    cells.n = 0;
  };
  for_each_cell(out, x, x_stride, c, begin, end, [&](uint64_t at, uint64_t half, const float *from) {
    // The tokens of a tile are rows apart: their next columns come from memory unasked only once a row is read on.
    __builtin_prefetch(from + 2 * GROUP);
    __builtin_prefetch(from + 2 * GROUP + 16);
    if (cells.n > 0 && at != cells.at + cells.n) finish();
    if (cells.n == 0) cells.at = at;
    cells.x[cells.n] = from, cells.half[cells.n] = half;
    if (++cells.n == BATCH || !is_whole) finish();
  });
  finish();
}

} // namespace bz::BZ_LEVEL
#endif
