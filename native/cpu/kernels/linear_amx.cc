// The product of quantized activations with int8 and int4 weights on the tile unit.
//
// One tile product is a group's dots of up to 16 tokens with a block of 16 output rows, exact in int32; the sums over
// groups are linear_int's, operation for operation, so the results are the same bits. The packed layout of a block is the
// layout the unit wants for its second operand; int4 is widened to int8 once, for all tokens. A panel of blocks that stays
// in the second cache is done for all tokens before the next, so that a token's results are written side by side.
// A second plane of activations is added to the same sums where weights have room for 16 times themselves (int4), else it
// has sums of its own. While the unit works on a group, the vector units scale the group before it.
#include "linear_parts.h"

#if defined(__AMX_INT8__)
#include "int_formats.h"
#include "store_block.h"

namespace bz::BZ_LEVEL {
namespace {

struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

constexpr uint64_t WEIGHT_ROW_BYTES = 64;

// Tiles 0 and 1: sums; 2 and 3: tokens; 4 and 5: weights; 6 and 7: the second plane's sums.
void configure_tiles(uint32_t tokens, uint32_t columns) {
  TileConfig config;
  for (int i = 0; i < 2; i++) {
    config.rows[i] = config.rows[2 + i] = config.rows[6 + i] = static_cast<uint8_t>(tokens);
    config.rows[4 + i] = static_cast<uint8_t>(columns / 4);
    config.row_bytes[i] = config.row_bytes[4 + i] = config.row_bytes[6 + i] = WEIGHT_ROW_BYTES;
    config.row_bytes[2 + i] = static_cast<uint16_t>(columns);
  }
  // g++ 12 believes that the instruction reads 8 bytes, and would drop the stores to the rest.
  asm volatile("" : : "r"(&config) : "memory");
  _tile_loadconfig(&config);
}

// How planes of activations meet a format's weights.
template <class F, uint32_t PLANES> struct Planes {
  static constexpr bool is_wide = PLANES == 2 && F::format.storage == Storage::int4 && !F::format.is_codebook;
  static constexpr bool is_split = PLANES == 2 && !is_wide;
  // Both planes of a group, and both forms of its weights, lie side by side: one tile each.
  static constexpr bool is_joined = is_wide && F::format.group == GROUP;
  // 16 times a code is up to 240; with an offset taken off it is a signed byte.
  static constexpr bool is_unsigned = is_wide && F::format.offset == 0;
  static constexpr uint64_t token_row_bytes = PLANES * GROUP;
  // A group's weights in the panel; with wide ones, 16 times the weights and then the weights.
  static constexpr uint64_t operand_bytes = uint64_t{F::format.group} * LANES;
  static constexpr uint64_t group_bytes = operand_bytes * (is_wide ? 2 : 1);
};

// The blocks' weights as bytes: in place for int8, else widened into the panel.
template <class F, uint32_t PLANES>
const std::byte *panel_levels(const Segment &s, uint32_t begin, uint32_t end, std::byte *panel) {
  using P = Planes<F, PLANES>;
  const std::byte *values = s.values + begin * s.block_value_bytes();
  if constexpr (F::format.storage == Storage::int8) return values;
  constexpr uint64_t group_vectors = F::group_bytes / 64;
  const __m512i offset = _mm512_set1_epi8(static_cast<char>(F::format.offset));
  const uint64_t vectors = (end - begin) * s.block_value_bytes() / 64;
  for (uint64_t i = 0; i < vectors; i++) {
    const Bytes both = load_bytes(values + 64 * i);
    Bytes low = low_halves(both), high = high_halves(both);
    if constexpr (F::format.is_codebook) {
      low = look_up(codebook_levels, low);
      high = look_up(codebook_levels, high);
    } else if constexpr (F::format.offset != 0) {
      low = _mm512_sub_epi8(low, offset);
      high = _mm512_sub_epi8(high, offset);
    }
    std::byte *to = panel + i / group_vectors * P::group_bytes + i % group_vectors * 128;
    if constexpr (P::is_wide) {
      const __m512i mask = _mm512_set1_epi8(static_cast<char>(0xf0)); // a byte's 16-fold, without its neighbour's bits
      _mm512_storeu_si512(to, _mm512_and_si512(_mm512_slli_epi16(low, PLANE_SHIFT), mask));
      _mm512_storeu_si512(to + 64, _mm512_and_si512(_mm512_slli_epi16(high, PLANE_SHIFT), mask));
      to += P::operand_bytes;
    }
    _mm512_storeu_si512(to, low);
    _mm512_storeu_si512(to + 64, high);
  }
  return panel;
}

// A group's dots; the second plane's own, where it has any.
struct alignas(64) Dots {
  int32_t of[TOKEN_TILE * LANES], fine[TOKEN_TILE * LANES];
};

// The unit's part: the dots of one group. Twice, as tile numbers are part of the instructions.
#define BZ_TILE_DOTS(name, SUM, TOKENS, WEIGHTS, FINE_SUM)                                                      \
  template <class P> inline void name(const int8_t *tokens, const std::byte *weights, Dots &dots) {             \
    _tile_zero(SUM);                                                                                            \
    _tile_loadd(TOKENS, tokens, P::token_row_bytes);                                                            \
    _tile_loadd(WEIGHTS, weights, WEIGHT_ROW_BYTES);                                                            \
    if constexpr (P::is_unsigned) _tile_dpbsud(SUM, TOKENS, WEIGHTS);                                           \
    else _tile_dpbssd(SUM, TOKENS, WEIGHTS);                                                                    \
    if constexpr (P::is_wide && !P::is_joined) {                                                                \
      _tile_loadd(TOKENS, tokens + GROUP, P::token_row_bytes);                                                  \
      _tile_loadd(WEIGHTS, weights + P::operand_bytes, WEIGHT_ROW_BYTES);                                       \
      _tile_dpbssd(SUM, TOKENS, WEIGHTS);                                                                       \
    } else if constexpr (P::is_split) {                                                                         \
      _tile_zero(FINE_SUM);                                                                                     \
      _tile_loadd(TOKENS, tokens + GROUP, P::token_row_bytes);                                                  \
      _tile_dpbssd(FINE_SUM, TOKENS, WEIGHTS);                                                                  \
      _tile_stored(FINE_SUM, dots.fine, WEIGHT_ROW_BYTES);                                                      \
    }                                                                                                           \
    _tile_stored(SUM, dots.of, WEIGHT_ROW_BYTES);                                                               \
  }
BZ_TILE_DOTS(even_dots, 0, 2, 4, 6)
BZ_TILE_DOTS(odd_dots, 1, 3, 5, 7)
#undef BZ_TILE_DOTS

template <class F, uint32_t PLANES> struct TileProduct {
  using P = Planes<F, PLANES>;
  static constexpr uint32_t parts = GROUP / F::format.group;
  const Activations &a;
  const std::byte *levels, *scales, *mins;
  uint64_t first; // of the token tile, in units of a group of one token

  // `wg`: the weight group. Its activation group is wg / parts.
  void dots(uint32_t wg, Dots &out) const {
    const uint64_t at = first + uint64_t{wg / parts} * a.tile;
    const int8_t *tokens = a.levels + at * P::token_row_bytes + wg % parts * F::format.group;
    const std::byte *weights = levels + uint64_t{wg} * P::group_bytes;
    if (wg % 2 == 0) even_dots<P>(tokens, weights, out);
    else odd_dots<P>(tokens, weights, out);
  }

  void scale(uint32_t wg, const Dots &dots, Floats *sums) const {
    const uint64_t at = first + uint64_t{wg / parts} * a.tile;
    const float *x_scale = a.scale + at;
    [[maybe_unused]] const float *x_sum = parts == 1 ? a.sum + at : a.half_sum + at * 2 + wg % parts * a.tile;
    const Floats w_scale = F::scales(scales, wg);
    [[maybe_unused]] Floats min;
    if constexpr (F::format.has_min) min = F::scales(mins, wg);
#pragma GCC unroll 16
    for (uint32_t t = 0; t < TOKEN_TILE; t++) {
      Ints dot = _mm512_load_si512(dots.of + t * LANES);
      if constexpr (P::is_split) dot = join_planes(dot, _mm512_load_si512(dots.fine + t * LANES));
      sums[t] = fma(to_floats(dot), mul(w_scale, splat(x_scale[t])), sums[t]);
      if constexpr (F::format.has_min) sums[t] = fma(min, splat(x_sum[t]), sums[t]);
    }
  }

  void run(const Segment &s, const Output &out, uint32_t block, uint32_t token, uint32_t end) const {
    Dots even, odd;
    Floats sums[TOKEN_TILE];
    for (Floats &sum : sums) sum = zeros();
    const uint32_t groups = a.groups * parts;
    dots(0, even);
    uint32_t g = 1;
    for (; g + 1 < groups; g += 2) {
      dots(g, odd);
      scale(g - 1, even, sums);
      dots(g + 1, even);
      scale(g, odd, sums);
    }
    if (g < groups) dots(g, odd);
    scale(g - 1, even, sums);
    if (g < groups) scale(g, odd, sums);
#pragma GCC unroll 16
    for (uint32_t t = 0; t < TOKEN_TILE; t++)
      if (token + t < end) store_block(out, s, block, token + t, sums[t]);
  }
};

template <class F, uint32_t PLANES>
void panel_product(const Segment &s, const Activations &a, const Output &out, const Share &share, uint32_t begin,
                   uint32_t end, std::byte *panel) {
  configure_tiles(a.tile, Planes<F, PLANES>::is_joined ? 2 * GROUP : F::format.group);
  const uint64_t block_bytes = uint64_t{a.groups} * TileProduct<F, PLANES>::parts * Planes<F, PLANES>::group_bytes;
  const std::byte *levels = panel_levels<F, PLANES>(s, begin, end, panel);
  asm volatile("" ::: "memory"); // the tile loads below do not say that they read the panel
  for (uint32_t token = share.token_begin; token < share.token_end; token += a.tile) {
    const uint64_t first = uint64_t{token / a.tile} * a.groups * a.tile;
    for (uint32_t block = begin; block < end; block++) {
      const uint64_t scales_at = block * s.block_scale_bytes();
      const TileProduct<F, PLANES> product = {a, levels + (block - begin) * block_bytes, s.scales + scales_at,
                                              s.mins + scales_at, first};
      product.run(s, out, block, token, share.token_end);
    }
  }
}

} // namespace

void linear_int_amx(const Segment &s, const Activations &a, const Output &out, const Share &share, std::byte *panel) {
  visit_format(s.format, [&]<class F>() {
    const uint32_t step = panel_blocks(s.c_padded);
    for (uint32_t begin = share.block_begin; begin < share.block_end; begin += step) {
      const uint32_t end = begin + step < share.block_end ? begin + step : share.block_end;
      if (a.planes == 2) panel_product<F, 2>(s, a, out, share, begin, end, panel);
      else panel_product<F, 1>(s, a, out, share, begin, end, panel);
    }
  });
  _tile_release();
}

} // namespace bz::BZ_LEVEL
#endif
