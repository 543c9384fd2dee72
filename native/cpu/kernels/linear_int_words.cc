// The product of activations with int8 and int4 weights at the levels without an instruction for sums of byte products
// (AVX2, AVX-512 without VNNI): linear_int's sums, operation for operation.
//
// Bytes would need three instructions for 4 columns of a plane; 16-bit words need two for 2 columns of both planes
// (vpmaddwd, vpaddd), so here a level of activations is one word, of 8 bits or 12. Weights become words in registers,
// by one instruction a vector, once for a tile of tokens; activation_words.h says how codes go without a mask.
// Levels of 8 bits meet packed codes as bytes: the products of a group's columns fit a word, so two instructions do for
// 4 columns (vpmaddubsw, vpaddw).
#include "activations.h"
#if BZ_HAS_WORDS
#include "int_formats.h"
#include "linear_parts.h"
#include "store_block.h"

namespace bz::BZ_LEVEL {
namespace {

constexpr uint32_t SLAB_TOKENS = 128; // their activations stay in the second cache while blocks pass by
constexpr uint32_t STEP = 8; // columns, in 4 pairs

// A step's weights where they lie. Packed codes come in the order of Activations::code_words, signed bytes as pairs of
// columns (0, 2), (1, 3), (4, 6), (5, 7) and 256 times themselves: a group's sums have the room.
template <class F> struct PackedStep {
  static constexpr uint64_t bytes = F::group_bytes * STEP / F::format.group;
  static constexpr bool is_codes = has_packed_codes(F::format);
  static_assert(128.0 * MAX_FINE_LEVEL * GROUP * 256 < INT32_MAX);

  // Two columns of 16 rows as words.
  template <int I> static inline Ints pair(const std::byte *step) {
    if constexpr (is_codes) {
      return shift<I>(load_bytes(step));
    } else if constexpr (F::format.is_codebook) {
      const Bytes both = load_bytes(step); // low halves of bytes are columns 0 to 3, high halves 4 to 7
      return widen<I % 2>(look_up(codebook_levels, I < 2 ? low_halves(both) : high_halves(both)));
    } else {
      return widen<I % 2>(load_bytes(step + I / 2 * 64));
    }
  }

 private:
  template <int I> static inline Ints shift(Ints codes) {
    const Ints is_signed = xor_bits(codes, splat_bits(static_cast<int32_t>(0x80008000u)));
    if constexpr (I == 0) return is_signed;
    else return shift_words_right(is_signed, 4 * I);
  }
  template <bool ODD> static inline Ints widen(Ints bytes) {
    return ODD ? and_bits(bytes, splat_bits(static_cast<int32_t>(0xff00ff00u))) : shift_words_left(bytes, 8);
  }
};

// Sums in registers.
template <class F, uint32_t N> struct Dots {
  Ints of[N];

  static const int16_t *levels(const Activations &x) { return PackedStep<F>::is_codes ? x.code_words : x.words; }

  // A weight group. Token t's words are at x + t * GROUP; what its sum starts from, where it does not at 0, is at
  // sums[at + t].
  [[gnu::always_inline]] inline void sum_group(const std::byte *w, const int16_t *x, const int32_t *sums, uint64_t at) {
#pragma GCC unroll WORD_TILE
    for (uint32_t t = 0; t < N; t++) of[t] = splat_bits(PackedStep<F>::is_codes ? sums[at + t] : 0);
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
  template <int I> [[gnu::always_inline]] inline void add_pair(const std::byte *step, const int16_t *x) {
    const Ints w = PackedStep<F>::template pair<I>(step);
#pragma GCC unroll WORD_TILE
    for (uint32_t t = 0; t < N; t++) {
      int32_t two;
      std::memcpy(&two, x + t * GROUP + 2 * I, 4);
      of[t] = add_ints(of[t], dot_words(w, splat_bits(two)));
      keep_order(of[t]);
    }
  }
};

// The same of packed codes and levels of 8 bits: sums of words until the end of a group.
template <class F, uint32_t N> struct ByteDots {
  static_assert(2 * 15 * 127 * (GROUP / 4) <= INT16_MAX);
  Ints of[N];

  static const int8_t *levels(const Activations &x) { return x.code_bytes; }

  [[gnu::always_inline]] inline void sum_group(const std::byte *w, const int8_t *x, const int32_t *sums, uint64_t at) {
#pragma GCC unroll WORD_TILE
    for (uint32_t t = 0; t < N; t++) of[t] = splat_bits(0);
#pragma GCC unroll 4
    for (uint32_t i = 0; i < F::format.group; i += STEP, w += PackedStep<F>::bytes, x += STEP) {
      const Bytes packed = load_bytes(w); // low halves of bytes are columns 0 to 3, high halves 4 to 7
      add(low_halves(packed), x);
      add(high_halves(packed), x + 4);
    }
    const Ints ones = splat_bits(0x00010001);
#pragma GCC unroll WORD_TILE
    for (uint32_t t = 0; t < N; t++) of[t] = add_ints(dot_words(of[t], ones), splat_bits(sums[at + t]));
  }

 private:
  [[gnu::always_inline]] inline void add(Bytes codes, const int8_t *x) {
#pragma GCC unroll WORD_TILE
    for (uint32_t t = 0; t < N; t++) {
      int32_t four;
      std::memcpy(&four, x + t * GROUP, 4);
      of[t] = add_words(of[t], dot_byte_pairs(codes, splat_bits(four)));
      keep_order(of[t]);
    }
  }
};

// N tokens' float32 sums of 16 rows.
template <uint32_t N> struct Sums {
  Floats of[N];

  [[gnu::always_inline]] inline void clear() {
#pragma GCC unroll WORD_TILE
    for (uint32_t t = 0; t < N; t++) of[t] = zeros();
  }

  template <class F, class D>
  [[gnu::always_inline]] inline void scale(const D &dots, Floats scale, const float *x_scale) {
    if constexpr (!PackedStep<F>::is_codes) scale = mul(scale, splat(1 / 256.0f));
#pragma GCC unroll WORD_TILE
    for (uint32_t t = 0; t < N; t++) of[t] = fma(to_floats(dots.of[t]), mul(scale, splat(x_scale[t])), of[t]);
  }

  [[gnu::always_inline]] inline void add_min(Floats min, const float *x_sum) {
#pragma GCC unroll WORD_TILE
    for (uint32_t t = 0; t < N; t++) of[t] = fma(min, splat(x_sum[t]), of[t]);
  }
};

struct Block {
  uint32_t number;
  const std::byte *values, *scales, *mins;
};

// Tokens [token, token + N) of one tile against one block. `ahead`: prefetches the weights that come next.
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
  sums.clear();
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
  #pragma GCC unroll WORD_TILE
  for (uint32_t t = 0; t < N; t++) store_block(out, s, block.number, token + t, sums.of[t]);
}

// A tile's first N tokens, or all that there are.
template <class F, template <class, uint32_t> class D, uint32_t N = WORD_TILE>
void tile_product(const Segment &s, const Activations &a, const Output &out, const Block &block, uint32_t token,
                  uint32_t tokens, bool ahead) {
  if (tokens >= N) return block_product<F, D<F, N>, N>(s, a, out, block, token, ahead);
  if constexpr (N > 1) tile_product<F, D, N - 1>(s, a, out, block, token, tokens, ahead);
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
