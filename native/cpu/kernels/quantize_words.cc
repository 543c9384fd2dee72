// Rows of activations to words of 8 bits or 12: the numbers of quantize_planes.cc, laid out as activation_words.h says.
#include "activations.h"
#if BZ_HAS_WORDS
#include "lanes.h"
#include "linear_parts.h"

namespace bz::BZ_LEVEL {

Activations::Activations(std::byte *at, const bz_weight &w, uint32_t num_tokens, uint32_t planes)
    : ActivationTiles(num_tokens, w.c, planes, WORD_TILE), scale(reinterpret_cast<float *>(at)), sum(nullptr),
      half_sum(nullptr), words(nullptr), code_words(nullptr), code_bytes(nullptr), start(), half_start() {
  const uint64_t n = cells();
  auto next = reinterpret_cast<uintptr_t>(at) + n * sizeof(float);
  const auto place = [&]<class T>(T *&to, uint64_t count) {
    if (to != nullptr) return;
    to = reinterpret_cast<T *>(next);
    next += count * sizeof(T);
  };
  for (uint32_t i = 0; i < w.num_segments; i++) {
    const PackedFormat &format = w.segments[i].format;
    if (format.is_float()) continue;
    const bool halves = format.group < GROUP;
    if (format.has_min) halves ? place(half_sum, 2 * n) : place(sum, n);
    if (!has_packed_codes(format)) {
      place(words, n * GROUP);
      continue;
    }
    planes == 2 ? place(code_words, n * GROUP) : place(code_bytes, n * GROUP);
    halves ? place(half_start[format.offset / 4], 2 * n) : place(start[format.offset / 4], n);
  }
  bytes = next - reinterpret_cast<uintptr_t>(at);
}

namespace {

// Magnitudes are compared as integers: their order is that of the floats, and NaN is above infinity.
__m256i max_magnitude(__m256i most, __m256 x) {
  return _mm256_max_epi32(most, _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7fffffff)));
}

float largest_lane(__m256i x) {
  __m128i most = _mm_max_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0x4e));
  most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0xb1));
  return bits_f32(static_cast<uint32_t>(_mm_cvtsi128_si32(most)));
}

// Of 16 words times weights of 0 or 1.
int32_t sum_words(__m256i words, __m256i which) {
  const __m256i pairs = _mm256_madd_epi16(words, which);
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
  return _mm_cvtsi128_si32(sum);
}

// 16 levels as words; of each 4 columns the even two come first, as activation_words.h wants them.
__m256i level_words(__m256i a, __m256i b) {
  const __m256i even_first = _mm256_setr_epi8(0, 1, 8, 9, 4, 5, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1, //
                                              0, 1, 8, 9, 4, 5, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1);
  const __m256i both = _mm256_unpacklo_epi64(_mm256_shuffle_epi8(a, even_first), _mm256_shuffle_epi8(b, even_first));
  return _mm256_permute4x64_epi64(both, 0xd8);
}

// The words that packed codes meet, in the order in which shifts bring the codes forth.
__m256i differences(__m256i words) {
  const __m256i in_order = _mm256_shuffle_epi32(words, 0xd8);            // (0, 2), (4, 6), (1, 3), (5, 7)
  const __m256i before = _mm256_slli_si256(in_order, 4);                 // nothing, (0, 2), (4, 6), (1, 3)
  return _mm256_sub_epi16(in_order, _mm256_slli_epi16(before, 4));
}

template <bool FINE> struct Levels {
  __m256i lo, hi;
  float scale;

  explicit Levels(const float *x) {
    constexpr float most = FINE ? MAX_FINE_LEVEL : MAX_LEVEL;
    const __m256 a = _mm256_loadu_ps(x), b = _mm256_loadu_ps(x + 8);
    const __m256 c = _mm256_loadu_ps(x + 16), d = _mm256_loadu_ps(x + 24);
    const __m256i zero = _mm256_setzero_si256();
    const float largest = largest_lane(
      _mm256_max_epi32(max_magnitude(max_magnitude(zero, a), b), max_magnitude(max_magnitude(zero, c), d)));
    const __m256 inverse = _mm256_set1_ps(largest == 0 ? 0 : most / largest);
    const auto level = [&](__m256 v) { return _mm256_cvtps_epi32(_mm256_mul_ps(v, inverse)); };
    lo = level_words(level(a), level(b));
    hi = level_words(level(c), level(d));
    scale = largest / most;
  }
};

void store_words(int16_t *to, __m256i lo, __m256i hi) {
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), lo);
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(to) + 1, hi);
}

// 32 words of 8 bits, in the order of activation_words.h, as bytes in the order of columns.
void store_bytes(int8_t *to, __m256i lo, __m256i hi) {
  const __m256i in_order = _mm256_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15, //
                                            0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
  const __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(lo, hi), 0xd8);
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), _mm256_shuffle_epi8(bytes, in_order));
}

template <bool FINE>
void quantize_cell(const Activations &out, uint64_t at, uint64_t half, const float *x) {
  const Levels<FINE> levels(x);
  out.scale[at] = levels.scale;
  if (out.words != nullptr) store_words(out.words + at * GROUP, levels.lo, levels.hi);
  const bool has_codes = out.code_words != nullptr || out.code_bytes != nullptr;
  if (out.sum == nullptr && out.half_sum == nullptr && !has_codes) return;
  const __m256i all = _mm256_set1_epi16(1);
  const int32_t lo = sum_words(levels.lo, all), hi = sum_words(levels.hi, all);
  if (out.sum != nullptr) out.sum[at] = levels.scale * static_cast<float>(lo + hi);
  if (out.half_sum != nullptr) {
    out.half_sum[half] = levels.scale * static_cast<float>(lo);
    out.half_sum[half + out.tile] = levels.scale * static_cast<float>(hi);
  }
  if (!has_codes) return;
  int32_t lo_last = 0, hi_last = 0; // the sums of the levels that meet the last codes of words
  if constexpr (FINE) {
    store_words(out.code_words + at * GROUP, differences(levels.lo), differences(levels.hi));
    const __m256i last = _mm256_set1_epi64x(int64_t{0x0001000100000000}); // columns 5 and 7
    const __m256i last_of_8 = _mm256_blend_epi32(_mm256_setzero_si256(), last, 0x88);
    lo_last = sum_words(levels.lo, last_of_8), hi_last = sum_words(levels.hi, last_of_8);
  } else {
    store_bytes(out.code_bytes + at * GROUP, levels.lo, levels.hi);
  }
  for (int32_t i = 0; i < 3; i++) {
    if (out.start[i] != nullptr) out.start[i][at] = 8 * (lo_last + hi_last) - 4 * i * (lo + hi);
    if (out.half_start[i] == nullptr) continue;
    out.half_start[i][half] = 8 * lo_last - 4 * i * lo;
    out.half_start[i][half + out.tile] = 8 * hi_last - 4 * i * hi;
  }
}

} // namespace

void quantize(const float *x, uint64_t x_stride, uint32_t c, const Activations &out, uint64_t begin, uint64_t end) {
  for_each_cell(out, x, x_stride, c, begin, end, [&](uint64_t at, uint64_t half, const float *from) {
    if (out.planes == 2) quantize_cell<true>(out, at, half, from);
    else quantize_cell<false>(out, at, half, from);
  });
}

} // namespace bz::BZ_LEVEL
#endif
