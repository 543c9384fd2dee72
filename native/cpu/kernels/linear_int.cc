// The product of int8 activations with int8 and int4 weights.
//
// One or two blocks of 16 output rows at a time, a lane each. A group's weights are loaded, and unpacked, once for a
// few tokens.
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

// Tokens of a register tile of one block, and of two: their sums, of which there are two of integers where each plane
// has its own, and the operands of a product fit the registers. Two blocks share what brings a token's columns to a
// register; with few tokens memory sets the pace, and one block is the better stream.
#if defined(__AVX512F__)
constexpr uint32_t FEW_TOKENS = 8;
constexpr uint32_t pair_tokens(bool is_split) { return is_split ? 4 : 6; }
#else
constexpr uint32_t FEW_TOKENS = 1; // lanes are loops: more of them only cost the compiler's time
#endif

// How a format's weights meet planes of activations.
template <class F, uint32_t PLANES> struct Operands {
  static constexpr bool is_int4 = F::format.storage == Storage::int4;
  static constexpr bool is_signed = !is_int4 || F::format.is_codebook;
  // Both planes go into one sum, the first one's weights being 16 times themselves; else each has a sum of its own.
  static constexpr bool is_wide = PLANES == 2 && WIDE_CODES && !is_signed;
  static constexpr bool is_split = PLANES == 2 && !is_wide;
};

#define BZ_EACH_BLOCK _Pragma("GCC unroll 2") for (uint32_t b = 0; b < B; b++)
#define BZ_EACH_TOKEN _Pragma("GCC unroll 8") for (uint32_t t = 0; t < N; t++)

// The dots of one group of B blocks with N tokens. Blocks and tokens take turns, so that a sum is ready when its turn
// comes again.
template <class F, uint32_t PLANES, uint32_t B, uint32_t N> struct Dots {
  using O = Operands<F, PLANES>;
  Ints first[B][N], second[O::is_split ? B : 1][O::is_split ? N : 1];

  // Token t's sum starts from start[t], or from 0 where that is NULL; its levels are at x + t * PLANES * GROUP.
  [[gnu::always_inline]] inline void sum_group(const std::byte *values, uint64_t block_bytes, const int8_t *x,
                                               const int32_t *start) {
    BZ_EACH_TOKEN {
      const Ints from = splat_bits(operand_shift(F::format) < 0 ? 0 : start[t]);
      BZ_EACH_BLOCK {
        first[b][t] = O::is_split ? splat_bits(0) : from;
        if constexpr (O::is_split) second[b][t] = from;
      }
    }
    Bytes w[B];
    if constexpr (O::is_int4) {
#pragma GCC unroll (FEW_TOKENS > 1 ? 4 : 1)
      for (uint32_t i = 0; i < F::format.group; i += 8) {
        Bytes both[B];
        BZ_EACH_BLOCK both[b] = load_bytes(values + b * block_bytes + 8 * i);
        BZ_EACH_BLOCK w[b] = operand(low_halves(both[b]));
        add(w, x + i);
        BZ_EACH_BLOCK w[b] = operand(high_halves(both[b]));
        add(w, x + i + 4);
      }
    } else {
#pragma GCC unroll (FEW_TOKENS > 1 ? 8 : 1)
      for (uint32_t i = 0; i < F::format.group; i += 4) {
        BZ_EACH_BLOCK w[b] = as_signed_operand(load_bytes(values + b * block_bytes + 16 * i));
        add(w, x + i);
      }
    }
  }

  // Of block b and token t, both planes together.
  [[gnu::always_inline]] inline Ints of(uint32_t b, uint32_t t) const {
    if constexpr (O::is_split) return join_planes<plane_shift(F::format)>(first[b][t], second[b][t]);
    else return first[b][t];
  }

 private:
  static inline Bytes operand(const Bytes &codes) {
    if constexpr (F::format.is_codebook) return as_signed_operand(look_up(codebook_levels, codes));
    else return codes;
  }

  static inline Ints dot(const Ints &sum, const Bytes &w, Columns x) {
    if constexpr (O::is_signed) return dot_signed(sum, w, x);
    else return dot_codes(sum, w, x);
  }

  // Four columns.
  [[gnu::always_inline]] inline void add(const Bytes (&w)[B], const int8_t *x) {
    if constexpr (PLANES == 1) {
      BZ_EACH_TOKEN {
        const Columns columns = four_columns(x + t * GROUP);
        BZ_EACH_BLOCK first[b][t] = dot(first[b][t], w[b], columns);
      }
    } else {
      Bytes wide[B];
      BZ_EACH_BLOCK wide[b] = O::is_wide ? codes_times_16(w[b]) : w[b];
      BZ_EACH_TOKEN {
        const Columns columns = four_columns(x + t * PLANES * GROUP);
        BZ_EACH_BLOCK first[b][t] = dot(first[b][t], wide[b], columns);
      }
      BZ_EACH_TOKEN {
        const Columns columns = four_columns(x + t * PLANES * GROUP + GROUP);
        BZ_EACH_BLOCK {
          Ints &sum = O::is_split ? second[O::is_split ? b : 0][O::is_split ? t : 0] : first[b][t];
          sum = dot(sum, w[b], columns);
        }
      }
    }
  }
};

// The activations of one tile as the products of a format read them: pointers to its first cell.
template <class F, uint32_t PLANES> struct TileCells {
  static constexpr uint32_t parts = GROUP / F::format.group; // weight groups an activation group
  static constexpr int shift = operand_shift(F::format) < 0 ? 0 : operand_shift(F::format);
  uint32_t tile, groups;
  const int8_t *levels;
  const float *scale, *sum; // of weight groups
  const int32_t *start;

  TileCells(const Activations &a, uint32_t token) : tile(a.tile), groups(a.groups) {
    const uint64_t first = uint64_t{token / tile} * groups * tile;
    const float *sums = parts == 1 ? a.sum : a.half_sum;
    const int32_t *starts = parts == 1 ? a.start[shift] : a.half_start[shift];
    levels = a.levels(F::format) + first * PLANES * GROUP;
    scale = a.scale + first;
    sum = F::format.has_min ? sums + first * parts : nullptr;
    start = operand_shift(F::format) < 0 ? nullptr : starts + first * parts;
  }
};

// Blocks [block, block + B) for tokens [lane, lane + N) of the tile that begins at `token`. `ahead`: whether the
// weights come from memory, and are worth asking for early.
template <class F, uint32_t PLANES, uint32_t B, uint32_t N>
void tile_product(const Segment &s, const TileCells<F, PLANES> &x, const Output &out, uint32_t block, uint32_t token,
                  uint32_t lane, bool ahead) {
  constexpr uint32_t parts = TileCells<F, PLANES>::parts;
  const uint64_t block_bytes = s.block_value_bytes(), scale_bytes = s.block_scale_bytes();
  const std::byte *values = s.values + block * block_bytes;
  const std::byte *scales = s.scales + block * scale_bytes, *mins = s.mins + block * scale_bytes;
  const int8_t *levels = x.levels + lane * PLANES * GROUP;
  const float *x_scale = x.scale + lane, *sum = F::format.has_min ? x.sum + lane : nullptr;
  const int32_t *start = operand_shift(F::format) < 0 ? nullptr : x.start + lane;
  const uint32_t tile = x.tile, num_groups = x.groups * parts;
  Floats sums[B][N];
  BZ_EACH_BLOCK BZ_EACH_TOKEN sums[b][t] = zeros();
  for (uint32_t group = 0; group < num_groups; group += parts) {
    for (uint32_t p = 0; p < parts; p++) {
      const uint64_t g = group + p;
      if (ahead)
        BZ_EACH_BLOCK F::ask_ahead(values + b * block_bytes, scales + b * scale_bytes, mins + b * scale_bytes, g);
      Dots<F, PLANES, B, N> dots;
      dots.sum_group(values + g * F::group_bytes, block_bytes, levels + p * F::format.group, start);
      BZ_EACH_BLOCK {
        const Floats scale = F::scales(scales + b * scale_bytes, g);
        BZ_EACH_TOKEN sums[b][t] = fma(to_floats(dots.of(b, t)), mul(scale, splat(x_scale[t])), sums[b][t]);
      }
      if constexpr (F::format.has_min) {
        BZ_EACH_BLOCK {
          const Floats min = F::scales(mins + b * scale_bytes, g);
          BZ_EACH_TOKEN sums[b][t] = fma(min, splat(sum[t]), sums[b][t]);
        }
        sum += tile;
      }
      if constexpr (operand_shift(F::format) >= 0) start += tile;
    }
    levels += uint64_t{tile} * PLANES * GROUP;
    x_scale += tile;
  }
  store_blocks(out, s, block, token + lane, sums);
}

// Tokens [lane, end) of one tile against one block: as many as fit at once, the rest in falling powers of two.
template <class F, uint32_t PLANES, uint32_t N>
void block_products(const Segment &s, const TileCells<F, PLANES> &x, const Output &out, uint32_t block, uint32_t token,
                    uint32_t lane, uint32_t end, bool ahead) {
  for (; lane + N <= end; lane += N, ahead = false)
    tile_product<F, PLANES, 1, N>(s, x, out, block, token, lane, ahead);
  if constexpr (N > 1) block_products<F, PLANES, N / 2>(s, x, out, block, token, lane, end, ahead);
}

#if defined(__AVX512F__)
// Tokens [0, end) of one tile against two blocks.
template <class F, uint32_t PLANES>
void pair_products(const Segment &s, const TileCells<F, PLANES> &x, const Output &out, uint32_t block, uint32_t token,
                   uint32_t end, bool ahead) {
  constexpr uint32_t N = pair_tokens(Operands<F, PLANES>::is_split), REST = 4;
  uint32_t lane = 0;
  for (; lane + N <= end; lane += N, ahead = false)
    tile_product<F, PLANES, 2, N>(s, x, out, block, token, lane, ahead);
  if constexpr (N > REST)
    for (; lane + REST <= end; lane += REST) tile_product<F, PLANES, 2, REST>(s, x, out, block, token, lane, false);
  if (lane == end) return;
  for (uint32_t b = 0; b < 2; b++)
    block_products<F, PLANES, REST / 2>(s, x, out, block + b, token, lane, end, false);
}
#endif

// Blocks [block, block_end) for the first `count` tokens of the tile that begins at `token`.
template <class F, uint32_t PLANES>
void panel_products(const Segment &s, const Activations &a, const Output &out, uint32_t block, uint32_t block_end,
                    uint32_t token, uint32_t count, bool ahead) {
  const TileCells<F, PLANES> x(a, token);
#if defined(__AVX512F__)
  if (count > FEW_TOKENS)
    for (; block + 2 <= block_end; block += 2) pair_products<F, PLANES>(s, x, out, block, token, count, ahead);
#endif
  for (; block < block_end; block++)
    block_products<F, PLANES, FEW_TOKENS>(s, x, out, block, token, 0, count, ahead);
}

} // namespace

void linear_int(const Segment &s, const Activations &a, const Output &out, const Share &share) {
  visit_format(s.format, [&]<class F>() {
    const uint32_t fit = panel_blocks(s.c_padded), step = fit < 2 ? 2 : fit / 2 * 2; // pairs of blocks
    for (uint32_t begin = share.block_begin; begin < share.block_end; begin += step) {
      const uint32_t end = begin + step < share.block_end ? begin + step : share.block_end;
      for (uint32_t token = share.token_begin; token < share.token_end; token += a.tile) {
        const uint32_t left = share.token_end - token, count = left < a.tile ? left : a.tile;
        const bool ahead = token == share.token_begin;
        if (a.planes == 2) panel_products<F, 2>(s, a, out, begin, end, token, count, ahead);
        else panel_products<F, 1>(s, a, out, begin, end, token, count, ahead);
      }
    }
  });
}

} // namespace bz::BZ_LEVEL
#endif
