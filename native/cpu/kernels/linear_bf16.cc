// The product of activations rounded to bfloat16 with bfloat16 weights, where the level has an instruction for pairs of
// bfloat16 and no tile unit (linear_bf16_amx.cc).
//
// A register tile of blocks of 16 output rows times tokens. Every sum runs over the columns in rising order, two
// columns an instruction, whatever the tile: a token's result does not depend on the others. Traffic: a panel of blocks
// that stays in the second cache is done for all tokens before the next; of a tile of tokens a chunk of columns stays in
// the first while the panel's blocks pass by. Sums wait in memory from chunk to chunk.
#include "linear_parts.h"

#if defined(__AVX512BF16__) && !defined(__AMX_BF16__)
#include "store_block.h"

namespace bz::BZ_LEVEL {
namespace {

// Blocks for a tile of n tokens: 24 sums cover the instruction's latency and leave registers for its operands; with few
// tokens memory sets the pace, and likes several streams of weights.
constexpr uint32_t tile_blocks(uint32_t n) { return n <= 6 ? 4 : 3; }

constexpr uint32_t PAIRS = GROUP / 2; // of columns in a group
constexpr uint64_t PAIR_BYTES = LANES * 4, GROUP_BYTES = PAIRS * PAIR_BYTES;
constexpr uint32_t CHUNK_GROUPS = 32;
constexpr uint64_t PANEL_BYTES = 512 * 1024;
constexpr uint32_t MAX_PANEL_BLOCKS = 36;
constexpr uint32_t PREFETCH_TOKENS = 2; // with so few the processor alone does not look far enough ahead

template <uint32_t B, uint32_t N> struct Sums {
  Floats of[B][N];

  [[gnu::always_inline]] void load(const float *from) {
#pragma GCC unroll 4
    for (uint32_t b = 0; b < B; b++)
#pragma GCC unroll 8
      for (uint32_t t = 0; t < N; t++) of[b][t] = from == nullptr ? zeros() : load_f32(from + (b * N + t) * LANES);
  }
  [[gnu::always_inline]] void keep(float *to) const {
#pragma GCC unroll 4
    for (uint32_t b = 0; b < B; b++)
#pragma GCC unroll 8
      for (uint32_t t = 0; t < N; t++) store(to + (b * N + t) * LANES, of[b][t]);
  }
};

// Adds one group of B blocks for N tokens, which lie one after the other at x. `ahead`: bytes from a weight to the one
// to prefetch.
template <uint32_t B, uint32_t N>
[[gnu::always_inline]] inline void add_group(const std::byte *values, uint64_t block_bytes, const uint16_t *x,
                                             [[maybe_unused]] uint64_t ahead, Sums<B, N> &sums) {
#pragma GCC unroll 4
  for (uint32_t pair = 0; pair < PAIRS; pair++) {
    __m512bh w[B];
#pragma GCC unroll 4
    for (uint32_t b = 0; b < B; b++) {
      const std::byte *at = values + b * block_bytes + pair * PAIR_BYTES;
      if constexpr (N <= PREFETCH_TOKENS) __builtin_prefetch(at + ahead);
      w[b] = (__m512bh)_mm512_loadu_si512(at);
    }
#pragma GCC unroll 8
    for (uint32_t t = 0; t < N; t++) {
      int32_t both;
      std::memcpy(&both, x + t * GROUP + 2 * pair, 4);
      const auto columns = (__m512bh)_mm512_set1_epi32(both);
#pragma GCC unroll 4
      for (uint32_t b = 0; b < B; b++) sums.of[b][t] = _mm512_dpbf16_ps(sums.of[b][t], w[b], columns);
    }
  }
}

// Groups [begin, end) of the columns.
struct Chunk {
  uint32_t begin, end;
};

// Blocks [block, block + B) for tokens [token, token + N) of one tile. `kept`: their sums before and after the chunk.
template <uint32_t B, uint32_t N>
void tile_product(const Segment &s, const Bf16Activations &a, const Output &out, uint32_t block, uint32_t token,
                  Chunk chunk, float *kept) {
  const uint64_t block_bytes = s.block_value_bytes(), step = uint64_t{a.tile} * GROUP;
  const std::byte *values = s.values + block * block_bytes + chunk.begin * GROUP_BYTES;
  const uint16_t *x = a.values + (uint64_t{token / a.tile} * a.groups + chunk.begin) * step + token % a.tile * GROUP;
  Sums<B, N> sums;
  sums.load(chunk.begin > 0 ? kept : nullptr);
  for (uint32_t g = chunk.begin; g < chunk.end; g++, values += GROUP_BYTES, x += step) {
    // The last group asks for the first one of the blocks that come next.
    const uint64_t ahead = GROUP_BYTES + (g + 1 < a.groups ? 0 : (B - 1) * block_bytes);
    add_group<B, N>(values, block_bytes, x, ahead, sums);
  }
  if (chunk.end < a.groups) return sums.keep(kept);
  store_blocks(out, s, block, token, sums.of);
}

// Blocks [begin, end), a panel, for N tokens of one tile.
template <uint32_t N>
void panel_product(const Segment &s, const Bf16Activations &a, const Output &out, uint32_t begin, uint32_t end,
                   uint32_t token) {
  alignas(64) float kept[MAX_PANEL_BLOCKS * N * LANES];
  constexpr uint32_t B = tile_blocks(N);
  const uint32_t chunks = N == 1 ? 1 : (a.groups + CHUNK_GROUPS - 1) / CHUNK_GROUPS;
  for (uint32_t i = 0; i < chunks; i++) {
    const Chunk chunk = {a.groups * i / chunks, a.groups * (i + 1) / chunks};
    const auto product = [&]<uint32_t COUNT>(uint32_t block) {
      tile_product<COUNT, N>(s, a, out, block, token, chunk, kept + (block - begin) * N * LANES);
      return COUNT;
    };
    for (uint32_t block = begin; block < end;) {
      const uint32_t left = end - block;
      // A lone block has too few sums to cover the latency: the last four are two pairs rather than three and one.
      if (left >= B && !(B == 3 && left == 4)) block += product.template operator()<B>(block);
      else if (left >= 2) block += product.template operator()<2>(block);
      else block += product.template operator()<1>(block);
    }
  }
}

// The last tokens, fewer than a tile.
template <uint32_t N>
void rest_product(const Segment &s, const Bf16Activations &a, const Output &out, uint32_t begin, uint32_t end,
                  uint32_t token, uint32_t token_end) {
  if (token_end - token == N) return panel_product<N>(s, a, out, begin, end, token);
  if constexpr (N > 1) rest_product<N - 1>(s, a, out, begin, end, token, token_end);
}

} // namespace

void linear_bf16(const Segment &s, const Bf16Activations &a, const Output &out, const Share &share) {
  constexpr uint32_t UNIT = tile_blocks(BF16_TILE);
  const uint64_t fit = PANEL_BYTES / s.block_value_bytes() / UNIT * UNIT;
  const uint32_t panel = fit < UNIT ? UNIT : fit < MAX_PANEL_BLOCKS ? static_cast<uint32_t>(fit) : MAX_PANEL_BLOCKS;
  for (uint32_t begin = share.block_begin; begin < share.block_end; begin += panel) {
    const uint32_t end = begin + panel < share.block_end ? begin + panel : share.block_end;
    uint32_t token = share.token_begin;
    for (; token + BF16_TILE <= share.token_end; token += BF16_TILE)
      panel_product<BF16_TILE>(s, a, out, begin, end, token);
    rest_product<BF16_TILE - 1>(s, a, out, begin, end, token, share.token_end);
  }
}

} // namespace bz::BZ_LEVEL
#endif
