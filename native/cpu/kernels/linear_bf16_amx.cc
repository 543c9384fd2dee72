// The product of activations rounded to bfloat16 with bfloat16 weights on the tile unit.
//
// One instruction adds 32 columns of 16 tokens times 16 output rows to a tile of float32 sums. A sum starts from what
// it is added to (bias, or y when accumulating) and takes the columns in rising order, 32 at a time, whatever the
// number of tokens: the unit computes each element of a tile alone, so a token's result does not depend on the others.
// Packed weights and activations already lie as the unit's operands: a tile of either is 1 KB of memory in a row.
// Traffic: two tiles of tokens times two blocks of rows, so that every operand loaded is used twice. Columns are taken
// in chunks for which the activations of all tokens stay in the second-level cache; sums wait in y between chunks.
#include "linear_parts.h"

#if defined(__AMX_BF16__)
#include "amx_tiles.h"

namespace bz::BZ_LEVEL {
namespace {

constexpr uint64_t ACTIVATION_CACHE_BYTES = 768 * 1024;
constexpr uint64_t TILE_BYTES = 1024; // of weights: 16 pairs of columns, 16 rows
constexpr uint32_t FEW_BLOCKS = 4;    // side by side for one tile of tokens: memory likes several streams

struct Product {
  const Segment &s;
  const Bf16Activations &a;
  const Output &out;
  uint32_t token_end;
  uint32_t begin, end; // columns / 32 of this chunk

  const uint16_t *tokens(uint32_t token) const {
    return a.values + (uint64_t{token / a.tile} * a.groups + begin) * a.tile * GROUP;
  }
  const std::byte *weights(uint32_t block) const {
    return s.values + block * s.block_value_bytes() + begin * TILE_BYTES;
  }
  float *y(uint32_t block, uint32_t token) const {
    return out.y + uint64_t{token} * out.stride + s.first_row + block * LANES;
  }
  bool starts() const { return begin == 0; }
  // Whether the tile's sums may be loaded from y and stored to it as they are.
  bool is_whole(uint32_t block, uint32_t token) const {
    return (block + 1) * LANES <= s.num_rows && token + a.tile <= token_end;
  }
};

// Rows and columns of y that a tile covers, copied from and to a buffer where the tile reaches beyond them, or where
// sums start from something that is not one array.
struct alignas(64) EdgeTile {
  float sums[TOKEN_TILE * LANES];

  void fill(const Product &p, uint32_t block, uint32_t token) {
    const uint32_t first = block * LANES, row = p.s.first_row + first;
    for (uint32_t t = 0; t < p.a.tile; t++)
      for (uint32_t i = 0; i < LANES; i++) {
        float sum = 0;
        if (first + i < p.s.num_rows && token + t < p.token_end) {
          const float *y = p.y(block, token + t) + i;
          if (!p.starts()) sum = *y;
          else if (p.out.accumulate) sum = p.out.bias != nullptr ? p.out.bias[row + i] + *y : *y;
          else if (p.out.bias != nullptr) sum = p.out.bias[row + i];
        }
        sums[t * LANES + i] = sum;
      }
  }

  void keep(const Product &p, uint32_t block, uint32_t token) const {
    const uint32_t left = p.s.num_rows - block * LANES, rows = left < LANES ? left : LANES;
    for (uint32_t t = 0; t < p.a.tile && token + t < p.token_end; t++)
      std::memcpy(p.y(block, token + t), sums + t * LANES, rows * 4);
  }
};

// Loads and stores the sums of one tile. NUMBER is the tile's, a part of the instruction.
template <int NUMBER> inline void load_sums(const Product &p, uint32_t block, uint32_t token) {
  const bool has_bias = p.starts() && p.out.bias != nullptr;
  if (p.starts() && !p.out.accumulate && !has_bias) return zero_tile<NUMBER>();
  if (p.is_whole(block, token) && !has_bias) return load_tile<NUMBER>(p.y(block, token), p.out.stride * 4);
  EdgeTile edge;
  edge.fill(p, block, token);
  load_tile<NUMBER>(edge.sums, LANES * 4);
}
template <int NUMBER> inline void store_sums(const Product &p, uint32_t block, uint32_t token) {
  if (p.is_whole(block, token)) return store_tile<NUMBER>(p.y(block, token), p.out.stride * 4);
  EdgeTile edge;
  store_tile<NUMBER>(edge.sums, LANES * 4);
  edge.keep(p, block, token);
}

// Weights that the first tiles of tokens meet come from memory, and the unit's loads alone wait for it line by line.
// Where they will be read two steps later. Past the end of the weights this does nothing.
inline void prefetch_weights(const std::byte *tile) {
  constexpr uint64_t AHEAD = 2 * TILE_BYTES;
#pragma GCC unroll 16
  for (uint64_t line = 0; line < TILE_BYTES; line += 64) __builtin_prefetch(tile + AHEAD + line);
}

// Two tiles of tokens, or one, times two blocks, or one. Tiles: 0 to 3 sums, 4 and 5 tokens, 6 and 7 weights. PREFETCH:
// these are the first tokens that meet the blocks.
template <uint32_t TOKENS, uint32_t BLOCKS, bool PREFETCH>
void tile_product(const Product &p, uint32_t block, uint32_t token) {
  load_sums<0>(p, block, token);
  if constexpr (BLOCKS == 2) load_sums<1>(p, block + 1, token);
  if constexpr (TOKENS == 2) load_sums<2>(p, block, token + TOKEN_TILE);
  if constexpr (TOKENS == 2 && BLOCKS == 2) load_sums<3>(p, block + 1, token + TOKEN_TILE);
  const uint16_t *x0 = p.tokens(token), *x1 = TOKENS == 2 ? p.tokens(token + TOKEN_TILE) : nullptr;
  const std::byte *w0 = p.weights(block), *w1 = BLOCKS == 2 ? p.weights(block + 1) : nullptr;
  const uint64_t step = uint64_t{p.a.tile} * GROUP;
  for (uint32_t i = p.begin; i < p.end; i++, x0 += step, x1 += step, w0 += TILE_BYTES, w1 += TILE_BYTES) {
    if constexpr (PREFETCH) {
      prefetch_weights(w0);
      if constexpr (BLOCKS == 2) prefetch_weights(w1);
    }
    load_tile<4>(x0, GROUP * 2);
    load_tile<6>(w0, 64);
    dot_bf16<0, 4, 6>();
    if constexpr (BLOCKS == 2) {
      load_tile<7>(w1, 64);
      dot_bf16<1, 4, 7>();
    }
    if constexpr (TOKENS == 2) {
      load_tile<5>(x1, GROUP * 2);
      dot_bf16<2, 5, 6>();
      if constexpr (BLOCKS == 2) dot_bf16<3, 5, 7>();
    }
  }
  store_sums<0>(p, block, token);
  if constexpr (BLOCKS == 2) store_sums<1>(p, block + 1, token);
  if constexpr (TOKENS == 2) store_sums<2>(p, block, token + TOKEN_TILE);
  if constexpr (TOKENS == 2 && BLOCKS == 2) store_sums<3>(p, block + 1, token + TOKEN_TILE);
}

// Four blocks for one tile of tokens. Tiles: 0 to 3 sums, 4 tokens, 5 to 7 weights.
void few_tokens_product(const Product &p, uint32_t block, uint32_t token) {
  load_sums<0>(p, block, token);
  load_sums<1>(p, block + 1, token);
  load_sums<2>(p, block + 2, token);
  load_sums<3>(p, block + 3, token);
  const uint16_t *x = p.tokens(token);
  const uint64_t step = uint64_t{p.a.tile} * GROUP, block_bytes = p.s.block_value_bytes();
  const std::byte *w = p.weights(block);
  for (uint32_t i = p.begin; i < p.end; i++, x += step, w += TILE_BYTES) {
    for (uint32_t b = 0; b < FEW_BLOCKS; b++) prefetch_weights(w + b * block_bytes);
    load_tile<4>(x, GROUP * 2);
    load_tile<5>(w, 64);
    dot_bf16<0, 4, 5>();
    load_tile<6>(w + block_bytes, 64);
    dot_bf16<1, 4, 6>();
    load_tile<7>(w + 2 * block_bytes, 64);
    dot_bf16<2, 4, 7>();
    load_tile<5>(w + 3 * block_bytes, 64);
    dot_bf16<3, 4, 5>();
  }
  store_sums<0>(p, block, token);
  store_sums<1>(p, block + 1, token);
  store_sums<2>(p, block + 2, token);
  store_sums<3>(p, block + 3, token);
}

template <uint32_t BLOCKS> void blocks_product(const Product &p, uint32_t block, uint32_t token) {
  if (token + TOKEN_TILE >= p.token_end) return tile_product<1, BLOCKS, true>(p, block, token);
  tile_product<2, BLOCKS, true>(p, block, token);
  for (token += 2 * TOKEN_TILE; token + TOKEN_TILE < p.token_end; token += 2 * TOKEN_TILE)
    tile_product<2, BLOCKS, false>(p, block, token);
  if (token < p.token_end) tile_product<1, BLOCKS, false>(p, block, token);
}

} // namespace

void linear_bf16(const Segment &s, const Bf16Activations &a, const Output &out, const Share &share) {
  const TileConfig config(a.tile);
  const uint64_t tokens = share.token_end - share.token_begin;
  const uint64_t fit = ACTIVATION_CACHE_BYTES / (tokens * GROUP * 2), most = fit > 0 ? fit : 1;
  const uint64_t chunks = (a.groups + most - 1) / most;
  for (uint64_t i = 0; i < chunks; i++) {
    const Product p = {s, a, out, share.token_end, static_cast<uint32_t>(a.groups * i / chunks),
                       static_cast<uint32_t>(a.groups * (i + 1) / chunks)};
    uint32_t block = share.block_begin;
    if (tokens <= TOKEN_TILE)
      for (; block + FEW_BLOCKS <= share.block_end; block += FEW_BLOCKS)
        few_tokens_product(p, block, share.token_begin);
    for (; block + 2 <= share.block_end; block += 2) blocks_product<2>(p, block, share.token_begin);
    if (block < share.block_end) blocks_product<1>(p, block, share.token_begin);
  }
}

} // namespace bz::BZ_LEVEL
#endif
