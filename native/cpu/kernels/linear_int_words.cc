// The product of activations with int8 and int4 weights at the AVX2 level: linear_int's sums, operation for operation.
//
// Bytes would need three instructions for 4 columns of a plane; 16-bit words need two for 2 columns of both planes
// (vpmaddwd, vpaddd), so here a level of activations is one word, of 8 bits or 12. Weights become words in registers, by
// one instruction a vector, once for a tile of tokens; activation_words.h says how codes go without a mask.
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

  // `at`: where the tokens' sums are among those of their kind.
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

  // A weight group: token t's words are at x + t * GROUP. All of it without a loop: a tenth to a fifth faster.
  [[gnu::always_inline]] inline void add_group(const std::byte *w, const int16_t *x) {
#pragma GCC unroll 4
    for (uint32_t i = 0; i < F::format.group; i += STEP, w += PackedStep<F>::bytes, x += STEP) {
      add_pair<0>(w, x);
      add_pair<1>(w, x);
      add_pair<2>(w, x);
      add_pair<3>(w, x);
    }
  }
};

// N tokens' float32 sums of 16 rows.
template <uint32_t N> struct Sums {
  __m256 a[N] = {}, b[N] = {};

  template <class F>
  [[gnu::always_inline]] inline void scale(const Dots<F, N> &dots, Floats scale, const float *x_scale) {
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
template <class F, uint32_t N>
void block_product(const Segment &s, const Activations &a, const Output &out, const Block &block, uint32_t token,
                   bool ahead) {
  constexpr uint32_t parts = GROUP / F::format.group; // weight groups an activation group
  const int16_t *words = PackedStep<F>::is_codes ? a.code_words : a.words;
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
      Dots<F, N> dots;
      dots.start(start, part);
      dots.add_group(values, words + cell * GROUP + p * F::format.group);
      sums.scale(dots, F::scales(block.scales, group), a.scale + cell);
      if constexpr (F::format.has_min) sums.add_min(F::scales(block.mins, group), x_sum + part);
    }
  }
  for (uint32_t t = 0; t < N; t++) store_block(out, s, block.number, token + t, {sums.a[t], sums.b[t]});
}

// A tile's tokens, from its first.
template <class F>
void tile_product(const Segment &s, const Activations &a, const Output &out, const Block &block, uint32_t token,
                  uint32_t tokens, bool ahead) {
  static_assert(WORD_TILE == 4);
  switch (tokens) {
    case 1: return block_product<F, 1>(s, a, out, block, token, ahead);
    case 2: return block_product<F, 2>(s, a, out, block, token, ahead);
    case 3: return block_product<F, 3>(s, a, out, block, token, ahead);
    default: return block_product<F, 4>(s, a, out, block, token, ahead);
  }
}

} // namespace

void linear_int(const Segment &s, const Activations &a, const Output &out, const Share &share) {
  const uint64_t value_bytes = s.block_value_bytes(), scale_bytes = s.block_scale_bytes();
  visit_format(s.format, [&]<class F>() {
    for (uint32_t first = share.token_begin; first < share.token_end; first += SLAB_TOKENS) {
      const uint32_t last = first + SLAB_TOKENS < share.token_end ? first + SLAB_TOKENS : share.token_end;
      for (uint32_t i = share.block_begin; i < share.block_end; i++) {
        const Block block = {i, s.values + i * value_bytes, s.scales + i * scale_bytes, s.mins + i * scale_bytes};
        for (uint32_t token = first; token < last; token += WORD_TILE)
          tile_product<F>(s, a, out, block, token, last - token, token == share.token_begin);
      }
    }
  });
}

} // namespace bz::BZ_LEVEL
#endif
