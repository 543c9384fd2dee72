// The product of activations with int8 and int4 weights at the AVX2 level: linear_int's sums, operation for operation.
//
// Bytes would need three instructions for 4 columns of a plane; 16-bit words need two for 2 columns of both planes
// (vpmaddwd, vpaddd), so here a level of activations is one word, of 8 bits or 12. Weights become words by shifts alone:
// a vector of words takes every other column, and the activations lie in that order (level_words in quantize.cc).
// Few tokens: words are made from the packed weights in registers, for 4 tokens at a time.
// Many: a piece of a block's columns becomes words, and its scales float32, once for a slab of tokens; both stay in the
// first cache while the slab's activations pass by from the second.
#if defined(BZ_LEVEL_avx2)
#include "int_formats.h"
#include "linear_parts.h"
#include "store_block.h"

namespace bz::BZ_LEVEL {
namespace {

constexpr uint32_t WIDEN_TOKENS = 24; // fewest tokens for which a panel of words pays. Measured.
constexpr uint32_t SLAB_TOKENS = 128;
constexpr uint32_t PANEL_GROUPS = 20; // 20 KiB of words: less than the first cache
constexpr uint32_t STEP = 8;          // columns, in 4 pairs

// Memory alone does not look far enough ahead: see linear_int.cc. Past the end a prefetch does nothing.
constexpr uint64_t PREFETCH_BYTES = 4096;

// Two columns of 16 rows as words.
struct Pair {
  __m256i a, b;
};

inline Pair load_pair(const std::byte *p) {
  const auto *halves = reinterpret_cast<const __m256i *>(p);
  return {_mm256_load_si256(halves), _mm256_load_si256(halves + 1)};
}

// Signed bytes of columns 0 to 3: (0, 2) or (1, 3).
template <bool ODD> inline __m256i sign_extend(__m256i bytes) {
  return _mm256_srai_epi16(ODD ? bytes : _mm256_slli_epi16(bytes, 8), 8);
}

template <bool ODD> inline Pair sign_extend(const Pair &bytes) {
  return {sign_extend<ODD>(bytes.a), sign_extend<ODD>(bytes.b)};
}

inline __m256i codes_at(__m256i x, int right) { // right: 0, 4, 8 or 12
  if (right > 0) x = _mm256_srli_epi16(x, right);
  return right < 12 ? _mm256_and_si256(x, _mm256_set1_epi16(15)) : x;
}

// A step's weights where they lie, as pairs of columns (0, 2), (1, 3), (4, 6), (5, 7).
template <class F> struct PackedStep {
  static constexpr uint64_t bytes = F::group_bytes * STEP / F::format.group;
  static constexpr int shift = F::offset_shift; // log2 of what is added to each level; -1: nothing

  template <int I> static inline Pair pair(const std::byte *step) {
    if constexpr (F::format.storage == Storage::int8) return sign_extend<I % 2>(load_pair(step + I / 2 * 64));
    const Pair packed = load_pair(step); // low halves of bytes are columns 0 to 3, high halves 4 to 7
    if constexpr (F::format.is_codebook) {
      const Bytes both = {packed.a, packed.b};
      const Bytes levels = look_up(codebook_levels, I < 2 ? low_halves(both) : high_halves(both));
      return sign_extend<I % 2>(Pair{levels.a, levels.b});
    }
    constexpr int right = I % 2 * 8 + I / 2 * 4;
    return {codes_at(packed.a, right), codes_at(packed.b, right)};
  }
};

// The same, made words before.
struct WordStep {
  static constexpr uint64_t bytes = 256;
  static constexpr int shift = -1;
  template <int I> static inline Pair pair(const std::byte *step) { return load_pair(step + 64 * I); }
};

// Sums in registers. The compiler must not add in another order: it would run out of them.
template <uint32_t N> struct Dots {
  __m256i a[N], b[N];

  template <class Step> [[gnu::always_inline]] inline void start(const int32_t *minus_sum) {
#pragma GCC unroll WORD_TILE
    for (uint32_t t = 0; t < N; t++) {
      const __m256i sum = _mm256_set1_epi32(minus_sum[t]);
      a[t] = b[t] = Step::shift < 0 ? _mm256_setzero_si256() : _mm256_slli_epi32(sum, Step::shift);
    }
  }

  template <class Step, int I> [[gnu::always_inline]] inline void add_pair(const std::byte *weights, const int16_t *x) {
    const Pair w = Step::template pair<I>(weights);
#pragma GCC unroll WORD_TILE
    for (uint32_t t = 0; t < N; t++) {
      int32_t two;
      std::memcpy(&two, x + t * GROUP + 2 * I, 4);
      const __m256i columns = _mm256_set1_epi32(two);
      a[t] = _mm256_add_epi32(a[t], _mm256_madd_epi16(w.a, columns));
      b[t] = _mm256_add_epi32(b[t], _mm256_madd_epi16(w.b, columns));
      asm("" : "+x"(a[t]), "+x"(b[t]));
    }
  }

  // A group of `columns`: token t's words are at x + t * GROUP.
  template <class Step> [[gnu::always_inline]] inline void add_group(const std::byte *w, const int16_t *x, int columns) {
#pragma GCC unroll 1
    for (int i = 0; i < columns; i += STEP, w += Step::bytes, x += STEP) {
      add_pair<Step, 0>(w, x);
      add_pair<Step, 1>(w, x);
      add_pair<Step, 2>(w, x);
      add_pair<Step, 3>(w, x);
    }
  }
};

// N tokens' float32 sums of 16 rows.
template <uint32_t N> struct Sums {
  __m256 a[N], b[N];

  [[gnu::always_inline]] inline void scale(const Dots<N> &dots, __m256 scale_a, __m256 scale_b, const float *x_scale) {
#pragma GCC unroll WORD_TILE
    for (uint32_t t = 0; t < N; t++) {
      const __m256 x = _mm256_set1_ps(x_scale[t]);
      a[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots.a[t]), _mm256_mul_ps(scale_a, x), a[t]);
      b[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots.b[t]), _mm256_mul_ps(scale_b, x), b[t]);
    }
  }

  [[gnu::always_inline]] inline void add_min(__m256 min_a, __m256 min_b, const float *x_sum) {
#pragma GCC unroll WORD_TILE
    for (uint32_t t = 0; t < N; t++) {
      const __m256 x = _mm256_set1_ps(x_sum[t]);
      a[t] = _mm256_fmadd_ps(min_a, x, a[t]);
      b[t] = _mm256_fmadd_ps(min_b, x, b[t]);
    }
  }
};

// A block's weights in memory, whole or in part.
template <class F, class Step, bool WIDE_SCALES> struct Block {
  static constexpr uint32_t parts = GROUP / F::format.group; // weight groups an activation group
  static constexpr uint64_t group_bytes = Step::bytes * F::format.group / STEP;
  static constexpr bool half = F::format.has_half_scales && !WIDE_SCALES;
  const std::byte *values, *scales, *mins;

  static inline Floats scales_at(const std::byte *p, uint64_t group) {
    if constexpr (half) return load_f16(reinterpret_cast<const uint16_t *>(p) + group * LANES);
    else return load_f32(reinterpret_cast<const float *>(p) + group * LANES);
  }

  // Adds the products of activation groups [begin, end) with this block's groups, from its first. `ahead`: asks memory
  // for the weights that come.
  template <uint32_t N>
  [[gnu::always_inline]] inline void add_to(Sums<N> &sums, const Activations &a, uint32_t token, uint32_t begin,
                                            uint32_t end, bool ahead) const {
    const uint32_t lane = token % a.tile;
    const uint64_t first = uint64_t{token / a.tile} * a.groups * a.tile + lane;
    const auto *words = reinterpret_cast<const int16_t *>(a.levels);
    uint64_t wg = 0;
    for (uint32_t g = begin; g < end; g++) {
      const uint64_t at = first + uint64_t{g} * a.tile;
#pragma GCC unroll 2
      for (uint32_t p = 0; p < parts; p++, wg++) {
        const uint64_t sum_at = parts == 1 ? at : (at - lane) * 2 + p * a.tile + lane;
        const std::byte *group = values + wg * group_bytes;
        if (ahead)
          for (uint64_t i = 0; i < group_bytes; i += 64) __builtin_prefetch(group + PREFETCH_BYTES + i);
        Dots<N> dots;
        dots.template start<Step>((parts == 1 ? a.minus_sum : a.minus_half_sum) + sum_at);
        dots.template add_group<Step>(group, words + at * GROUP + p * F::format.group, F::format.group);
        const Floats scale = scales_at(scales, wg);
        sums.scale(dots, scale.a, scale.b, a.scale + at);
        if constexpr (F::format.has_min) {
          const Floats min = scales_at(mins, wg);
          sums.add_min(min.a, min.b, (parts == 1 ? a.sum : a.half_sum) + sum_at);
        }
      }
    }
  }
};

// ---- Few tokens -----------------------------------------------------------------------------------------------------

template <class F, uint32_t N>
void packed_product(const Segment &s, const Activations &a, const Output &out, uint32_t block, uint32_t token,
                    bool ahead) {
  const uint64_t scales_at = block * s.block_scale_bytes();
  const Block<F, PackedStep<F>, false> weights = {s.values + block * s.block_value_bytes(), s.scales + scales_at,
                                                  s.mins + scales_at};
  Sums<N> sums;
  for (uint32_t t = 0; t < N; t++) sums.a[t] = sums.b[t] = _mm256_setzero_ps();
  weights.template add_to<N>(sums, a, token, 0, a.groups, ahead);
  for (uint32_t t = 0; t < N; t++) store_block(out, s, block, token + t, Floats{sums.a[t], sums.b[t]});
}

// Tokens [token, end), a tile at most, in falling powers of two.
template <class F, uint32_t N>
void packed_products(const Segment &s, const Activations &a, const Output &out, uint32_t block, uint32_t token,
                     uint32_t end, bool ahead) {
  if (token + N <= end) {
    packed_product<F, N>(s, a, out, block, token, ahead);
    token += N;
    ahead = false;
  }
  if constexpr (N > 1) packed_products<F, N / 2>(s, a, out, block, token, end, ahead);
}

template <class F>
void packed_share(const Segment &s, const Activations &a, const Output &out, const Share &share) {
  for (uint32_t block = share.block_begin; block < share.block_end; block++)
    for (uint32_t token = share.token_begin; token < share.token_end; token += WORD_TILE) {
      const uint32_t end = token + WORD_TILE < share.token_end ? token + WORD_TILE : share.token_end;
      packed_products<F, WORD_TILE>(s, a, out, block, token, end, token == share.token_begin);
    }
}

// ---- Many tokens ----------------------------------------------------------------------------------------------------

template <class F> struct Panel {
  static constexpr uint32_t parts = GROUP / F::format.group;
  alignas(64) std::byte words[PANEL_GROUPS * GROUP * LANES * 2];
  float scales[PANEL_GROUPS * parts * LANES], mins[F::format.has_min ? PANEL_GROUPS * parts * LANES : 1];
  float sums[SLAB_TOKENS * LANES];

  template <int I> static inline void widen_pair(const std::byte *step, std::byte *to) {
    const __m256i offset = _mm256_set1_epi16(static_cast<int16_t>(F::format.offset));
    const Pair pair = PackedStep<F>::template pair<I>(step);
    auto *halves = reinterpret_cast<__m256i *>(to + 64 * I);
    _mm256_store_si256(halves, _mm256_sub_epi16(pair.a, offset));
    _mm256_store_si256(halves + 1, _mm256_sub_epi16(pair.b, offset));
  }

  // Activation groups [begin, end) of a block.
  void widen(const Segment &s, uint32_t block, uint32_t begin, uint32_t end) {
    const uint64_t first = uint64_t{begin} * parts, groups = uint64_t{end - begin} * parts;
    const std::byte *step = s.values + block * s.block_value_bytes() + first * F::group_bytes;
    std::byte *to = words;
    for (uint64_t i = 0; i < groups * F::format.group; i += STEP, step += PackedStep<F>::bytes, to += WordStep::bytes) {
      widen_pair<0>(step, to);
      widen_pair<1>(step, to);
      widen_pair<2>(step, to);
      widen_pair<3>(step, to);
    }
    for (uint64_t i = 0; i < groups; i++) {
      store(scales + i * LANES, F::scales(s.scales + block * s.block_scale_bytes(), first + i));
      if constexpr (F::format.has_min)
        store(mins + i * LANES, F::scales(s.mins + block * s.block_scale_bytes(), first + i));
    }
  }

  // Activation groups [begin, end) of the slab's tokens [token, last), a tile at most; `at` are the sums of the first.
  template <uint32_t N>
  void add_tokens(const Activations &a, uint32_t begin, uint32_t end, uint32_t token, uint32_t last, float *at) {
    const Block<F, WordStep, true> weights = {words, reinterpret_cast<const std::byte *>(scales),
                                              reinterpret_cast<const std::byte *>(mins)};
    if (token + N <= last) {
      Sums<N> mine;
      for (uint32_t t = 0; t < N; t++) {
        mine.a[t] = _mm256_loadu_ps(at + t * LANES);
        mine.b[t] = _mm256_loadu_ps(at + t * LANES + 8);
      }
      weights.template add_to<N>(mine, a, token, begin, end, false);
      for (uint32_t t = 0; t < N; t++) {
        _mm256_storeu_ps(at + t * LANES, mine.a[t]);
        _mm256_storeu_ps(at + t * LANES + 8, mine.b[t]);
      }
      token += N;
      at += N * LANES;
    }
    if constexpr (N > 1) add_tokens<N / 2>(a, begin, end, token, last, at);
  }

  // Tokens [first, last), at most a slab of them, against one block.
  void run(const Segment &s, const Activations &a, const Output &out, uint32_t block, uint32_t first, uint32_t last) {
    const uint32_t pieces = (a.groups + PANEL_GROUPS - 1) / PANEL_GROUPS;
    std::memset(sums, 0, (last - first) * LANES * sizeof(float));
    for (uint32_t i = 0; i < pieces; i++) {
      const uint32_t begin = a.groups * i / pieces, end = a.groups * (i + 1) / pieces;
      widen(s, block, begin, end);
      for (uint32_t token = first; token < last; token += WORD_TILE) {
        const uint32_t stop = token + WORD_TILE < last ? token + WORD_TILE : last;
        add_tokens<WORD_TILE>(a, begin, end, token, stop, sums + (token - first) * LANES);
      }
    }
    for (uint32_t t = first; t < last; t++) store_block(out, s, block, t, load_f32(sums + (t - first) * LANES));
  }
};

template <class F>
void widened_share(const Segment &s, const Activations &a, const Output &out, const Share &share) {
  Panel<F> panel;
  for (uint32_t first = share.token_begin; first < share.token_end; first += SLAB_TOKENS) {
    const uint32_t last = first + SLAB_TOKENS < share.token_end ? first + SLAB_TOKENS : share.token_end;
    for (uint32_t block = share.block_begin; block < share.block_end; block++)
      panel.run(s, a, out, block, first, last);
  }
}

} // namespace

void linear_int(const Segment &s, const Activations &a, const Output &out, const Share &share) {
  visit_format(s.format, [&]<class F>() {
    if (share.token_end - share.token_begin < WIDEN_TOKENS) packed_share<F>(s, a, out, share);
    else widened_share<F>(s, a, out, share);
  });
}

} // namespace bz::BZ_LEVEL
#endif
