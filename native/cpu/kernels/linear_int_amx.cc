// The product of quantized activations with int8 and int4 weights on the tile unit.
//
// One tile product is a group's dots of up to 16 tokens with a block of 16 output rows, exact in int32; the sums over
// groups are linear_int's, operation for operation, so the results are the same bits. The packed layout of a block is
// the layout the unit wants for its second operand; int4 is widened to int8 once, for all tokens. A panel of blocks
// that stays in the second cache is done for all tokens before the next, so that a token's results are written side by
// side. A second plane of activations is added to the same sums where weights have room for 16 times themselves (int4),
// else it has sums of its own. Pipeline: the unit takes 16 cycles to add to a tile and some 50 until the result can be
// read, so a group's dots are stored while the unit works on later groups, and scaled by the vector units one group
// after that.
#include "linear_parts.h"

#if defined(__AMX_INT8__)
#include "amx_tiles.h"
#include "int_formats.h"
#include "store_block.h"

namespace bz::BZ_LEVEL {
namespace {

constexpr uint64_t WEIGHT_ROW_BYTES = 64;

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
      _mm512_storeu_si512(to, _mm512_and_si512(_mm512_slli_epi16(low, CODE_SHIFT), mask));
      _mm512_storeu_si512(to + 64, _mm512_and_si512(_mm512_slli_epi16(high, CODE_SHIFT), mask));
      to += P::operand_bytes;
    }
    _mm512_storeu_si512(to, low);
    _mm512_storeu_si512(to + 64, high);
  }
  return panel;
}

// Dots of one group; those of the second plane, where it has its own, follow. Small, as loads of what lies at the same
// place of another page wait for stores to it.
template <uint32_t SUMS> struct alignas(64) Dots {
  int32_t of[SUMS][TOKEN_TILE * LANES];
};

// Where a tile of tokens meets the blocks of a panel.
struct PanelRun {
  const Segment &s;
  const Activations &a;
  const Output &out;
  const std::byte *levels; // of the panel: group after group, block after block, as the scales and minimums
  uint32_t begin, end;     // blocks
  uint32_t token, token_end;

  // Keeps a block's sums, [16 tokens][16 rows].
  [[gnu::noinline]] void keep(uint32_t block, const float *sums) const {
    const uint32_t tokens = token_end - token < a.tile ? token_end - token : a.tile;
    for (uint32_t t = 0; t < tokens; t++) store_block(out, s, block, token + t, load_f32(sums + t * LANES));
  }
};

// One tile of tokens and the blocks of a panel, as one sequence of groups. Tiles: 0 to 3 sums, 4 tokens, 6 weights.
template <class F, uint32_t PLANES> class TileProduct {
  using P = Planes<F, PLANES>;
  static constexpr uint32_t PARTS = GROUP / F::format.group;
  static constexpr uint32_t SUMS = P::is_split ? 2 : 1; // tiles of a group
  static constexpr uint32_t SLOTS = 4 / SUMS;           // groups whose dots are in tiles
  static constexpr uint32_t DELAY = SLOTS - 1;          // groups between a dot and its store

 public:
  explicit TileProduct(const PanelRun &run) : run_(run) {}

  void multiply() {
    const Activations &a = run_.a;
    const uint64_t first = uint64_t{run_.token / a.tile} * a.groups * a.tile;
    const uint64_t scales_at = run_.begin * run_.s.block_scale_bytes();
    const uint32_t groups = a.groups * PARTS;
    const Tokens tokens = {a.levels(F::format) + first * P::token_row_bytes, a.tile * P::token_row_bytes, groups};
    const Scales scales = {run_.s.scales + scales_at, run_.s.mins + scales_at, a.scale + first,
                           PARTS == 1 ? a.sum + first : a.half_sum + first * 2, a.tile, groups};
    const uint64_t all = uint64_t{groups} * (run_.end - run_.begin), steps = all + DELAY + 1;
    Cursor dotted, scaled;
    Floats sums[TOKEN_TILE];
#pragma GCC unroll 16
    for (uint32_t t = 0; t < TOKEN_TILE; t++) sums[t] = zeros();
    for (uint64_t g = 0; g < steps; g += SLOTS) {
#define BZ_STEP(SLOT)                                                                                       \
  if (g + SLOT < all) add_dots<SLOT>(tokens, dotted);                                                       \
  if (g + SLOT >= DELAY && g + SLOT < all + DELAY) store_dots<(SLOT + SLOTS - DELAY) % SLOTS>();            \
  if (g + SLOT > DELAY && g + SLOT < steps) scale(scales, buffers_[(SLOT + SLOTS - DELAY + 1) % 2], scaled, sums)
      BZ_STEP(0);
      BZ_STEP(1);
      if constexpr (SLOTS == 4) {
        BZ_STEP(2);
        BZ_STEP(3);
      }
#undef BZ_STEP
    }
  }

 private:
  struct Cursor {
    uint64_t number = 0;          // of the group in the panel
    uint32_t group = 0, block = 0;
  };
  struct Tokens {
    const int8_t *levels;
    uint64_t group_bytes; // of an activation group, all tokens
    uint32_t groups;
  };
  struct Scales {
    const std::byte *weights, *mins;
    const float *tokens, *sums;
    uint32_t tile, groups;
  };

  // Adds up the dots of the next weight group in the tiles of SLOT.
  template <uint32_t SLOT> [[gnu::always_inline]] inline void add_dots(const Tokens &tokens, Cursor &at) const {
    constexpr int sum = SLOT * SUMS;
    const int8_t *x = tokens.levels + at.group / PARTS * tokens.group_bytes + at.group % PARTS * F::format.group;
    const std::byte *w = run_.levels + at.number * P::group_bytes;
    zero_tile<sum>();
    load_tile<4>(x, P::token_row_bytes);
    load_tile<6>(w, WEIGHT_ROW_BYTES);
    if constexpr (P::is_unsigned) dot_su<sum, 4, 6>();
    else dot_ss<sum, 4, 6>();
    if constexpr (P::is_split) {
      zero_tile<sum + 1>();
      load_tile<4>(x + GROUP, P::token_row_bytes);
      dot_ss<sum + 1, 4, 6>();
    } else if constexpr (P::is_wide && !P::is_joined) {
      load_tile<4>(x + GROUP, P::token_row_bytes);
      load_tile<6>(w + P::operand_bytes, WEIGHT_ROW_BYTES);
      dot_ss<sum, 4, 6>();
    }
    at.number++;
    if (++at.group == tokens.groups) at.group = 0;
  }

  template <uint32_t SLOT> [[gnu::always_inline]] inline void store_dots() {
    Dots<SUMS> &to = buffers_[SLOT % 2];
    store_tile<SLOT * SUMS>(to.of[0], WEIGHT_ROW_BYTES);
    if constexpr (P::is_split) store_tile<SLOT * SUMS + 1>(to.of[1], WEIGHT_ROW_BYTES);
  }

  // Adds the next group's dots to the sums; at a block's end the sums go to y.
  [[gnu::always_inline]] inline void scale(const Scales &scales, const Dots<SUMS> &dots, Cursor &at, Floats *sums) {
    const float *x_scale = scales.tokens + uint64_t{at.group / PARTS} * scales.tile;
    const float *x_sum = scales.sums + uint64_t{at.group} * scales.tile;
    const Floats w_scale = F::scales(scales.weights, at.number);
    [[maybe_unused]] Floats min;
    if constexpr (F::format.has_min) min = F::scales(scales.mins, at.number);
#pragma GCC unroll 16
    for (uint32_t t = 0; t < TOKEN_TILE; t++) {
      Ints dot = _mm512_load_si512(dots.of[0] + t * LANES);
      if constexpr (P::is_split)
        dot = join_planes<plane_shift(F::format)>(dot, _mm512_load_si512(dots.of[1] + t * LANES));
      sums[t] = fma(to_floats(dot), mul(w_scale, splat(x_scale[t])), sums[t]);
      if constexpr (F::format.has_min) sums[t] = fma(min, splat(x_sum[t]), sums[t]);
    }
    at.number++;
    if (++at.group < scales.groups) return;
    at.group = 0;
#pragma GCC unroll 16
    for (uint32_t t = 0; t < TOKEN_TILE; t++) {
      bz::store(kept_ + t * LANES, sums[t]);
      sums[t] = zeros();
    }
    run_.keep(run_.begin + at.block++, kept_);
  }

  alignas(64) Dots<SUMS> buffers_[2];
  alignas(64) float kept_[TOKEN_TILE * LANES];
  const PanelRun &run_;
};

template <class F, uint32_t PLANES>
void panel_product(const Segment &s, const Activations &a, const Output &out, const Share &share, uint32_t begin,
                   uint32_t end, std::byte *panel) {
  constexpr uint32_t columns = Planes<F, PLANES>::is_joined ? 2 * GROUP : F::format.group;
  const TileConfig config(a.tile, columns, columns / 4);
  const std::byte *levels = panel_levels<F, PLANES>(s, begin, end, panel);
  for (uint32_t token = share.token_begin; token < share.token_end; token += a.tile)
    TileProduct<F, PLANES>({s, a, out, levels, begin, end, token, share.token_end}).multiply();
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
}

} // namespace bz::BZ_LEVEL
#endif
