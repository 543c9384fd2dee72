// The product of int8 activations with int8 and int4 weights.
//
// One block of 16 output rows at a time, a lane each. A group's weights are loaded, and unpacked, once for a few
// tokens.
//   sum[t] = fma(float(dot of the group), weight scale * activation scale, sum[t]), then with a minimum
//   sum[t] = fma(weight minimum, activation scale * sum of the group's levels, sum[t]); groups in rising order.
// The dot is exact in int32, so every level, tile and thread count gives the same bits. A second plane of activations
// has a dot of its own, added where the first plane's counts 16 times: by weights that are 16 times themselves where
// they have the room, else by a shift. Traffic: a panel of blocks that stays in the second cache is done for all tokens
// before the next; a tile of tokens stays in the first.
#include "activations.h"
#if !BZ_HAS_WORDS // linear_int_words.cc
#include "int_formats.h"
#include "linear_parts.h"
#include "store_block.h"

namespace bz::BZ_LEVEL {
namespace {

#if defined(__AVX512F__)
constexpr uint32_t MAX_TOKENS = 8; // sums of 8 tokens and a group's weights fit the 32 registers
#else
constexpr uint32_t MAX_TOKENS = 1; // lanes are loops: more of them only cost the compiler's time
#endif

constexpr uint32_t PREFETCH_TOKENS = 4; // with so few memory sets the pace

// How a format's weights meet planes of activations.
template <class F, uint32_t PLANES> struct Operands {
  static constexpr bool is_int4 = F::format.storage == Storage::int4;
  static constexpr bool is_signed = !is_int4 || F::format.is_codebook;
  // Both planes go into one sum, the first one's weights being 16 times themselves; else each has a sum of its own.
  static constexpr bool is_wide = PLANES == 2 && WIDE_CODES && !is_signed;
  static constexpr bool is_split = PLANES == 2 && !is_wide;
};

// The dots of one group with N tokens. Tokens take turns at every vector of weights, so that a sum is ready when its turn
// comes again.
template <class F, uint32_t PLANES, uint32_t N> struct Dots {
  using O = Operands<F, PLANES>;
  Ints first[N], second[O::is_split ? N : 1];

  // Token t's sum starts from start[t], or from 0 where that is NULL; its levels are at x + t * PLANES * GROUP.
  [[gnu::always_inline]] inline void sum_group(const std::byte *values, const int8_t *x, const int32_t *start) {
#pragma GCC unroll MAX_TOKENS
    for (uint32_t t = 0; t < N; t++) {
      const Ints from = splat_bits(operand_shift(F::format) < 0 ? 0 : start[t]);
      first[t] = O::is_split ? splat_bits(0) : from;
      if constexpr (O::is_split) second[t] = from;
    }
    if constexpr (O::is_int4) {
#pragma GCC unroll (MAX_TOKENS > 1 ? 4 : 1)
      for (uint32_t i = 0; i < F::format.group; i += 8) {
        const Bytes both = load_bytes(values + 8 * i);
        add(operand(low_halves(both)), x + i);
        add(operand(high_halves(both)), x + i + 4);
      }
    } else {
#pragma GCC unroll (MAX_TOKENS > 1 ? 8 : 1)
      for (uint32_t i = 0; i < F::format.group; i += 4) add(as_signed_operand(load_bytes(values + 16 * i)), x + i);
    }
  }

  // Of token t, both planes together.
  [[gnu::always_inline]] inline Ints of(uint32_t t) const {
    if constexpr (O::is_split) return join_planes<plane_shift(F::format)>(first[t], second[t]);
    else return first[t];
  }

 private:
  static inline Bytes operand(const Bytes &codes) {
    if constexpr (F::format.is_codebook) return as_signed_operand(look_up(codebook_levels, codes));
    else return codes;
  }

  static inline Ints dot(const Ints &sum, const Bytes &w, const int8_t *x) {
    if constexpr (O::is_signed) return dot_signed(sum, w, x);
    else return dot_codes(sum, w, x);
  }

  // Four columns.
  [[gnu::always_inline]] inline void add(const Bytes &w, const int8_t *x) {
    if constexpr (O::is_wide) {
      const Bytes wide = codes_times_16(w);
#pragma GCC unroll MAX_TOKENS
      for (uint32_t t = 0; t < N; t++) first[t] = dot(first[t], wide, x + t * PLANES * GROUP);
#pragma GCC unroll MAX_TOKENS
      for (uint32_t t = 0; t < N; t++) first[t] = dot(first[t], w, x + t * PLANES * GROUP + GROUP);
      return;
    }
#pragma GCC unroll MAX_TOKENS
    for (uint32_t t = 0; t < N; t++) first[t] = dot(first[t], w, x + t * PLANES * GROUP);
    if constexpr (O::is_split) {
#pragma GCC unroll MAX_TOKENS
      for (uint32_t t = 0; t < N; t++) second[t] = dot(second[t], w, x + t * PLANES * GROUP + GROUP);
    }
  }
};

// Tokens [token, token + N) of one tile against one block.
template <class F, uint32_t PLANES, uint32_t N>
void block_product(const Segment &s, const Activations &a, const Output &out, uint32_t block, uint32_t token) {
  constexpr uint32_t parts = GROUP / F::format.group; // weight groups an activation group
  const uint32_t tile = a.tile, lane = token % tile;
  const uint64_t first = uint64_t{token / tile} * a.groups * tile + lane;
  const std::byte *values = s.values + block * s.block_value_bytes();
  const std::byte *scales = s.scales + block * s.block_scale_bytes();
  const std::byte *mins = s.mins + block * s.block_scale_bytes();
  constexpr int shift = operand_shift(F::format) < 0 ? 0 : operand_shift(F::format);
  const int32_t *start = parts == 1 ? a.start[shift] : a.half_start[shift];
  Floats sums[N];
#pragma GCC unroll MAX_TOKENS
  for (uint32_t t = 0; t < N; t++) sums[t] = zeros();
  for (uint32_t g = 0; g < a.groups; g++) {
    const uint64_t at = first + uint64_t{g} * tile;
    for (uint32_t p = 0; p < parts; p++) {
      const uint64_t wg = uint64_t{g} * parts + p, sum_at = parts == 1 ? at : (at - lane) * 2 + p * tile + lane;
      if constexpr (N <= PREFETCH_TOKENS) F::ask_ahead(values, scales, mins, wg);
      Dots<F, PLANES, N> dots;
      dots.sum_group(values + wg * F::group_bytes,
                     a.levels(F::format) + at * PLANES * GROUP + p * F::format.group,
                     start == nullptr ? nullptr : start + sum_at);
      const Floats scale = F::scales(scales, wg);
#pragma GCC unroll MAX_TOKENS
      for (uint32_t t = 0; t < N; t++)
        sums[t] = fma(to_floats(dots.of(t)), mul(scale, splat(a.scale[at + t])), sums[t]);
      if constexpr (F::format.has_min) {
        const Floats min = F::scales(mins, wg);
        const float *group_sum = (parts == 1 ? a.sum : a.half_sum) + sum_at;
#pragma GCC unroll MAX_TOKENS
        for (uint32_t t = 0; t < N; t++) sums[t] = fma(min, splat(group_sum[t]), sums[t]);
      }
    }
  }
#pragma GCC unroll MAX_TOKENS
  for (uint32_t t = 0; t < N; t++) store_block(out, s, block, token + t, sums[t]);
}

// The rest of a tile in falling powers of two.
template <class F, uint32_t PLANES, uint32_t N>
uint32_t tile_products(const Segment &s, const Activations &a, const Output &out, uint32_t block, uint32_t token,
                       uint32_t end) {
  for (; token + N <= end; token += N) block_product<F, PLANES, N>(s, a, out, block, token);
  if constexpr (N > 1) return tile_products<F, PLANES, N / 2>(s, a, out, block, token, end);
  else return token;
}

} // namespace

void linear_int(const Segment &s, const Activations &a, const Output &out, const Share &share) {
  visit_format(s.format, [&]<class F>() {
    const uint32_t step = panel_blocks(s.c_padded);
    for (uint32_t begin = share.block_begin; begin < share.block_end; begin += step) {
      const uint32_t end = begin + step < share.block_end ? begin + step : share.block_end;
      for (uint32_t token = share.token_begin; token < share.token_end; token += a.tile) {
        const uint32_t token_end = token + a.tile < share.token_end ? token + a.tile : share.token_end;
        for (uint32_t block = begin; block < end; block++)
          if (a.planes == 2) tile_products<F, 2, MAX_TOKENS>(s, a, out, block, token, token_end);
          else tile_products<F, 1, MAX_TOKENS>(s, a, out, block, token, token_end);
      }
    }
  });
}

} // namespace bz::BZ_LEVEL
#endif
