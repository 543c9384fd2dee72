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

// One group's weights as operands of the dot product.
template <class F> struct Weights {
  static constexpr uint32_t steps = F::format.group / 4; // vectors of 4 columns
  static constexpr bool is_int4 = F::format.storage == Storage::int4;
  static constexpr bool is_signed = !is_int4 || F::format.is_codebook;
  // log2 of what the operands have added to the level; -1: nothing.
  static constexpr int shift = is_signed ? SIGNED_SHIFT : F::offset_shift;

  static inline void load(const std::byte *values, Bytes *w) {
    if constexpr (is_int4) {
      for (uint32_t i = 0; i < steps; i += 2) {
        const Bytes both = load_bytes(values + 32 * i);
        w[i] = operand(low_halves(both));
        w[i + 1] = operand(high_halves(both));
      }
    } else {
      for (uint32_t i = 0; i < steps; i++) w[i] = as_signed_operand(load_bytes(values + 64 * i));
    }
  }

  static inline Ints dot(Ints sum, const Bytes *w, const int8_t *x) {
#pragma GCC unroll (MAX_TOKENS > 1 ? 8 : 1)
    for (uint32_t i = 0; i < steps; i++)
      if constexpr (is_signed) sum = dot_signed(sum, w[i], x + 4 * i);
      else sum = dot_codes(sum, w[i], x + 4 * i);
    return sum;
  }

 private:
  static inline Bytes operand(const Bytes &codes) {
    if constexpr (F::format.is_codebook) return as_signed_operand(look_up(codebook_levels, codes));
    else return codes;
  }
};

// One group's operands, and its dot with one token.
template <class F, uint32_t PLANES> struct GroupOperands {
  using W = Weights<F>;
  static constexpr bool is_wide = PLANES == 2 && WIDE_CODES && !W::is_signed;
  Bytes w[W::steps], wide[is_wide ? W::steps : 1];

  inline void load(const std::byte *values) {
    W::load(values, w);
    if constexpr (is_wide)
      for (uint32_t i = 0; i < W::steps; i++) wide[i] = codes_times_16(w[i]);
  }

  inline Ints dot(Ints start, const int8_t *x) const {
    if constexpr (PLANES == 1) return W::dot(start, w, x);
    else if constexpr (is_wide) return W::dot(W::dot(start, wide, x), w, x + GROUP);
    else return join_planes<plane_shift(F::format)>(W::dot(splat_shifted(0, 0), w, x), W::dot(start, w, x + GROUP));
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
  Floats sums[N];
  for (uint32_t t = 0; t < N; t++) sums[t] = zeros();
  for (uint32_t g = 0; g < a.groups; g++) {
    const uint64_t at = first + uint64_t{g} * tile;
    for (uint32_t p = 0; p < parts; p++) {
      const uint64_t wg = uint64_t{g} * parts + p, sum_at = parts == 1 ? at : (at - lane) * 2 + p * tile + lane;
      GroupOperands<F, PLANES> w;
      w.load(values + wg * F::group_bytes);
      if constexpr (N <= PREFETCH_TOKENS) F::ask_ahead(values, scales, mins, wg);
      const Floats scale = F::scales(scales, wg);
      [[maybe_unused]] Floats min;
      if constexpr (F::format.has_min) min = F::scales(mins, wg);
      const int32_t *minus_sum = parts == 1 ? a.minus_sum : a.minus_half_sum;
      const float *group_sum = parts == 1 ? a.sum : a.half_sum;
#pragma GCC unroll MAX_TOKENS
      for (uint32_t t = 0; t < N; t++) {
        const int8_t *x = a.levels(F::format) + (at + t) * PLANES * GROUP + p * F::format.group;
        constexpr int shift = Weights<F>::shift;
        const Ints start = shift < 0 ? splat_shifted(0, 0) : splat_shifted(minus_sum[sum_at + t], shift);
        const Ints dot = w.dot(start, x);
        sums[t] = fma(to_floats(dot), mul(scale, splat(a.scale[at + t])), sums[t]);
        if constexpr (F::format.has_min) sums[t] = fma(min, splat(group_sum[sum_at + t]), sums[t]);
      }
    }
  }
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
