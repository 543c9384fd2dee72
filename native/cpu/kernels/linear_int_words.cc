// The product of activations with int8 and int4 weights at the AVX2 level: linear_int's sums, operation for operation.
//
// Bytes would need three instructions for 4 columns of a plane; 16-bit words need two for 2 columns of both planes
// (vpmaddwd, vpaddd), so here a level of activations is one word, of 8 bits or 12. Weights become words in registers,
// by one instruction a vector, once for a tile of tokens; activation_words.h says how codes go without a mask.
// Levels of 8 bits meet packed codes as bytes: the products of a group's columns fit a word, so two instructions do for
// 4 columns (vpmaddubsw, vpaddw).
#if defined(BZ_LEVEL_avx2)
#include "int_formats.h"
#include "linear_parts.h"
#include "store_block.h"

namespace bz::BZ_LEVEL {
namespace {

constexpr uint32_t SLAB_TOKENS = 128; // their activations stay in the second cache while blocks pass by
constexpr uint32_t STEP = 8; // columns, in 4 pairs

// Two columns of 16 rows as words.
struct Pair {
  __m256i a, b;
};

inline Pair load_pair(const std::byte *p) {
  const auto *halves = reinterpret_cast<const __m256i *>(p);
  return {_mm256_load_si256(halves), _mm256_load_si256(halves + 1)};
}

// A step's weights where they lie. Packed codes come in the order of Activations::code_words, signed bytes as pairs of
// columns (0, 2), (1, 3), (4, 6), (5, 7) and 256 times themselves: a group's sums have the room.
template <class F> struct PackedStep {
  static constexpr uint64_t bytes = F::group_bytes * STEP / F::format.group;
  static constexpr bool is_codes = has_packed_codes(F::format);
  static_assert(128.0 * MAX_FINE_LEVEL * GROUP * 256 < INT32_MAX);

  template <int I> static inline Pair pair(const std::byte *step) {
    if constexpr (is_codes) {
      const Pair packed = load_pair(step);
      return {shift<I>(packed.a), shift<I>(packed.b)};
    } else if constexpr (F::format.is_codebook) {
      const Pair packed = load_pair(step); // low halves of bytes are columns 0 to 3, high halves 4 to 7
      const Bytes both = {packed.a, packed.b};
      const Bytes levels = look_up(codebook_levels, I < 2 ? low_halves(both) : high_halves(both));
      return {widen<I % 2>(levels.a), widen<I % 2>(levels.b)};
    } else {
      const Pair levels = load_pair(step + I / 2 * 64);
      return {widen<I % 2>(levels.a), widen<I % 2>(levels.b)};
    }
  }

 private:
  template <int I> static inline __m256i shift(__m256i codes) {
    const __m256i is_signed = _mm256_xor_si256(codes, _mm256_set1_epi16(INT16_MIN));
    return I == 0 ? is_signed : _mm256_srai_epi16(is_signed, 4 * I);
  }
  template <bool ODD> static inline __m256i widen(__m256i bytes) {
    return ODD ? _mm256_and_si256(bytes, _mm256_set1_epi16(-256)) : _mm256_slli_epi16(bytes, 8);
  }
};

// Sums in registers. The compiler must not add in another order: it would run out of them.
template <class F, uint32_t N> struct Dots {
  __m256i a[N], b[N];

  static const int16_t *levels(const Activations &x) { return PackedStep<F>::is_codes ? x.code_words : x.words; }

  // A weight group. Token t's words are at x + t * GROUP; what its sum starts from, where it does not at 0, is at
  // sums[at + t].
  [[gnu::always_inline]] inline void sum_group(const std::byte *w, const int16_t *x, const int32_t *sums, uint64_t at) {
    start(sums, at);
    // All of it without a loop: a tenth to a fifth faster.
#pragma GCC unroll 4
    for (uint32_t i = 0; i < F::format.group; i += STEP, w += PackedStep<F>::bytes, x += STEP) {
      add_pair<0>(w, x);
      add_pair<1>(w, x);
      add_pair<2>(w, x);
      add_pair<3>(w, x);
    }
  }

 private:
  [[gnu::always_inline]] inline void start(const int32_t *sums, uint64_t at) {
#pragma GCC unroll WORD_TILE
    for (uint32_t t = 0; t < N; t++)
      a[t] = b[t] = PackedStep<F>::is_codes ? _mm256_set1_epi32(sums[at + t]) : _mm256_setzero_si256();
  }

  template <int I> [[gnu::always_inline]] inline void add_pair(const std::byte *step, const int16_t *x) {
    const Pair w = PackedStep<F>::template pair<I>(step);
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
};

// The same of packed codes and levels of 8 bits: sums of words until the end of a group.
template <class F, uint32_t N> struct ByteDots {
  static_assert(2 * 15 * 127 * (GROUP / 4) <= INT16_MAX);
  __m256i a[N], b[N];

  static const int8_t *levels(const Activations &x) { return x.code_bytes; }

  [[gnu::always_inline]] inline void sum_group(const std::byte *w, const int8_t *x, const int32_t *sums, uint64_t at) {
#pragma GCC unroll WORD_TILE
    for (uint32_t t = 0; t < N; t++) a[t] = b[t] = _mm256_setzero_si256();
#pragma GCC unroll 4
    for (uint32_t i = 0; i < F::format.group; i += STEP, w += PackedStep<F>::bytes, x += STEP) {
      const Pair packed = load_pair(w); // low halves of bytes are columns 0 to 3, high halves 4 to 7
      add({low(packed.a), low(packed.b)}, x);
      add({low(_mm256_srli_epi16(packed.a, 4)), low(_mm256_srli_epi16(packed.b, 4))}, x + 4);
    }
    const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll WORD_TILE
    for (uint32_t t = 0; t < N; t++) {
      const __m256i start = _mm256_set1_epi32(sums[at + t]);
      a[t] = _mm256_add_epi32(_mm256_madd_epi16(a[t], ones), start);
      b[t] = _mm256_add_epi32(_mm256_madd_epi16(b[t], ones), start);
    }
  }

 private:
  static inline __m256i low(__m256i bytes) { return _mm256_and_si256(bytes, _mm256_set1_epi8(15)); }

  [[gnu::always_inline]] inline void add(const Pair &codes, const int8_t *x) {
#pragma GCC unroll WORD_TILE
    for (uint32_t t = 0; t < N; t++) {
      int32_t four;
      std::memcpy(&four, x + t * GROUP, 4);
      const __m256i columns = _mm256_set1_epi32(four);
      a[t] = _mm256_add_epi16(a[t], _mm256_maddubs_epi16(codes.a, columns));
      b[t] = _mm256_add_epi16(b[t], _mm256_maddubs_epi16(codes.b, columns));
      asm("" : "+x"(a[t]), "+x"(b[t]));
    }
  }
};

// N tokens' float32 sums of 16 rows.
template <uint32_t N> struct Sums {
  __m256 a[N] = {}, b[N] = {};

  template <class F, class D>
  [[gnu::always_inline]] inline void scale(const D &dots, Floats scale, const float *x_scale) {
    if constexpr (!PackedStep<F>::is_codes) scale = mul(scale, splat(1 / 256.0f));
#pragma GCC unroll WORD_TILE
    for (uint32_t t = 0; t < N; t++) {
      const __m256 x = _mm256_set1_ps(x_scale[t]);
      a[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots.a[t]), _mm256_mul_ps(scale.a, x), a[t]);
      b[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots.b[t]), _mm256_mul_ps(scale.b, x), b[t]);
    }
  }

  [[gnu::always_inline]] inline void add_min(Floats min, const float *x_sum) {
#pragma GCC unroll WORD_TILE
    for (uint32_t t = 0; t < N; t++) {
      const __m256 x = _mm256_set1_ps(x_sum[t]);
      a[t] = _mm256_fmadd_ps(min.a, x, a[t]);
      b[t] = _mm256_fmadd_ps(min.b, x, b[t]);
    }
  }
};

struct Block {
  uint32_t number;
  const std::byte *values, *scales, *mins;
};

// Tokens [token, token + N) of one tile against one block. `ahead`: asks memory for the weights that come.
template <class F, class D, uint32_t N>
void block_product(const Segment &s, const Activations &a, const Output &out, const Block &block, uint32_t token,
                   bool ahead) {
  constexpr uint32_t parts = GROUP / F::format.group; // weight groups an activation group
  const auto *levels = D::levels(a);
  const int32_t *start = parts == 1 ? a.start[F::format.offset / 4] : a.half_start[F::format.offset / 4];
  const float *x_sum = parts == 1 ? a.sum : a.half_sum;
  const std::byte *values = block.values;
  const uint64_t first = uint64_t{token / WORD_TILE} * a.groups * a.tile;
  Sums<N> sums;
  for (uint32_t g = 0; g < a.groups; g++) {
    const uint64_t cell = first + uint64_t{g} * a.tile; // of the tile's first token, as `token` is
#pragma GCC unroll 2
    for (uint32_t p = 0; p < parts; p++, values += F::group_bytes) {
      const uint64_t group = uint64_t{g} * parts + p, part = cell * parts + p * a.tile;
      if (ahead) F::ask_ahead(block.values, block.scales, block.mins, group);
      D dots;
      dots.sum_group(values, levels + cell * GROUP + p * F::format.group, start, part);
      sums.template scale<F>(dots, F::scales(block.scales, group), a.scale + cell);
      if constexpr (F::format.has_min) sums.add_min(F::scales(block.mins, group), x_sum + part);
    }
  }
  for (uint32_t t = 0; t < N; t++) store_block(out, s, block.number, token + t, {sums.a[t], sums.b[t]});
}

// A tile's tokens, from its first.
template <class F, template <class, uint32_t> class D>
void tile_product(const Segment &s, const Activations &a, const Output &out, const Block &block, uint32_t token,
                  uint32_t tokens, bool ahead) {
  static_assert(WORD_TILE == 4);
  switch (tokens) {
    case 1: return block_product<F, D<F, 1>, 1>(s, a, out, block, token, ahead);
    case 2: return block_product<F, D<F, 2>, 2>(s, a, out, block, token, ahead);
    case 3: return block_product<F, D<F, 3>, 3>(s, a, out, block, token, ahead);
    default: return block_product<F, D<F, 4>, 4>(s, a, out, block, token, ahead);
  }
}

template <class F, template <class, uint32_t> class D>
void share_product(const Segment &s, const Activations &a, const Output &out, const Share &share) {
  const uint64_t value_bytes = s.block_value_bytes(), scale_bytes = s.block_scale_bytes();
  for (uint32_t first = share.token_begin; first < share.token_end; first += SLAB_TOKENS) {
    const uint32_t last = first + SLAB_TOKENS < share.token_end ? first + SLAB_TOKENS : share.token_end;
    for (uint32_t i = share.block_begin; i < share.block_end; i++) {
      const Block block = {i, s.values + i * value_bytes, s.scales + i * scale_bytes, s.mins + i * scale_bytes};
      for (uint32_t token = first; token < last; token += WORD_TILE)
        tile_product<F, D>(s, a, out, block, token, last - token, token == share.token_begin);
    }
  }
}

} // namespace

void linear_int(const Segment &s, const Activations &a, const Output &out, const Share &share) {
  visit_format(s.format, [&]<class F>() {
    if constexpr (PackedStep<F>::is_codes)
      if (a.planes == 1) return share_product<F, ByteDots>(s, a, out, share);
    share_product<F, Dots>(s, a, out, share);
  });
}

} // namespace bz::BZ_LEVEL
#endif
