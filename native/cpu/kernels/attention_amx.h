// The two products of attention in the processor's matrix tiles (AMX), for a bfloat16 cache.
//
// Queries and weights are float32: each is split into SPLITS bfloat16 values whose sum it is, to 2^-17 of it (2 parts)
// or exactly (3 parts), and the products of the parts are added in float32. An element of a result is computed alone in
// a fixed order: a query vector's result does not depend on its neighbours.
#pragma once
#include "../attention_plan.h"
#include "attention_tile.h"

#if defined(__AMX_BF16__)
#include "amx_tiles.h"
#endif

namespace bz::BZ_LEVEL {

#if !defined(__AMX_BF16__)

struct MatrixScratch {};

#else

constexpr uint32_t SPLITS = 2;
constexpr uint32_t TILE_ROWS = 16, TILE_DEPTH = 32; // rows of a tile; bfloat16 values in one of its rows

// What a thread keeps of an item's queries, and works on tile by tile.
struct MatrixScratch {
  alignas(64) uint16_t q[SPLITS][MAX_QUERIES * MAX_ROW]; // [MAX_QUERIES][D]
  uint16_t p[SPLITS][MAX_QUERIES * TILE_KEYS];
  uint16_t v[TILE_KEYS * MAX_ROW];                       // [TILE_KEYS / 2][row][2]
};

// Splits 16 values; parts [SPLITS] are bfloat16 values in the low halves of lanes.
BZ_INLINE void split_parts(F x, uint16_t *const *parts) {
  for (uint32_t s = 0; s < SPLITS; s++) {
    const __m256bh part = _mm512_cvtneps_pbh(x);
    std::memcpy(parts[s], &part, sizeof part);
    x = x - load_bf16(parts[s]);
  }
}

// q[i] are the item's query vectors; rows up to a whole tile are zeros.
static void split_queries(const float *const *q, uint32_t count, uint32_t d, MatrixScratch &m) {
  const uint32_t rows = (count + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
  for (uint32_t i = 0; i < rows; i++)
    for (uint32_t j = 0; j < d; j += W) {
      uint16_t *parts[SPLITS];
      for (uint32_t s = 0; s < SPLITS; s++) parts[s] = m.q[s] + i * d + j;
      split_parts(i < count ? load(q[i] + j) : F{}, parts);
    }
}

// scores[q][0, 64) for one or two tiles of query vectors, from the row `first` on.
static void score_matrix(const MatrixScratch &m, uint32_t first, uint32_t blocks, const uint16_t *const *groups,
                         uint32_t d, float *scores) {
  const uint64_t q_stride = d * 2, score_stride = TILE_KEYS * 4;
  for (uint32_t g = 0; g < TILE_GROUPS; g += 2) {
    zero_tile<0>();
    zero_tile<1>();
    zero_tile<2>();
    zero_tile<3>();
    for (uint32_t i = 0; i < d; i += TILE_DEPTH) {
      load_tile<4>(groups[g] + i * GROUP_TOKENS, 64);
      load_tile<5>(groups[g + 1] + i * GROUP_TOKENS, 64);
      for (uint32_t s = 0; s < SPLITS; s++) {
        load_tile<6>(m.q[s] + first * d + i, q_stride);
        dot_bf16<0, 6, 4>();
        dot_bf16<1, 6, 5>();
        if (blocks == 1) continue;
        load_tile<7>(m.q[s] + (first + TILE_ROWS) * d + i, q_stride);
        dot_bf16<2, 7, 4>();
        dot_bf16<3, 7, 5>();
      }
    }
    float *to = scores + g * GROUP_TOKENS;
    store_tile<0>(to, score_stride);
    store_tile<1>(to + GROUP_TOKENS, score_stride);
    if (blocks == 1) continue;
    store_tile<2>(to + TILE_ROWS * TILE_KEYS, score_stride);
    store_tile<3>(to + TILE_ROWS * TILE_KEYS + GROUP_TOKENS, score_stride);
  }
}

// Weights of the rows [from, to) in parts; the other rows of their tiles are zeros.
static void split_weights(const float *p, uint32_t from, uint32_t to, uint32_t rows, MatrixScratch &m) {
  for (uint32_t i = 0; i < rows; i++)
    for (uint32_t j = 0; j < TILE_KEYS; j += W) {
      uint16_t *parts[SPLITS];
      for (uint32_t s = 0; s < SPLITS; s++) parts[s] = m.p[s] + i * TILE_KEYS + j;
      split_parts(i >= from && i < to ? load(p + i * TILE_KEYS + j) : F{}, parts);
    }
}

// Puts the tile's values side by side. Those of keys outside [begin, end) are zeros: what lies there may not be a
// number.
static void gather_values(const uint16_t *const *values, uint32_t begin, uint32_t end, uint64_t row, MatrixScratch &m) {
  for (uint32_t pair = 0; pair < TILE_KEYS / 2; pair++) {
    const uint32_t t = 2 * pair;
    const uint32_t mask = (t >= begin && t < end ? 0xffffu : 0) | (t + 1 >= begin && t + 1 < end ? 0xffff0000u : 0);
    const uint16_t *from = values[t / GROUP_TOKENS] + t % GROUP_TOKENS * row;
    for (uint64_t i = 0; i < row * 2; i += 2 * W) {
      const U both = load_bits(from + i) & mask;
      std::memcpy(m.v + t * row + i, &both, sizeof both);
    }
  }
}

// out[q][0, row) += p[q] V for one or two tiles of query vectors; out's rows follow each other.
static void value_matrix(const MatrixScratch &m, uint32_t blocks, uint64_t row, float *out) {
  const uint64_t p_stride = TILE_KEYS * 2, pair_stride = row * 4, out_stride = row * 4;
  for (uint64_t column = 0; column < row; column += 2 * GROUP_TOKENS) {
    float *to = out + column;
    load_tile<0>(to, out_stride);
    load_tile<1>(to + GROUP_TOKENS, out_stride);
    if (blocks == 2) {
      load_tile<2>(to + TILE_ROWS * row, out_stride);
      load_tile<3>(to + TILE_ROWS * row + GROUP_TOKENS, out_stride);
    }
    for (uint32_t t = 0; t < TILE_KEYS; t += TILE_DEPTH) {
      load_tile<4>(m.v + t * row + column * 2, pair_stride);
      load_tile<5>(m.v + t * row + (column + GROUP_TOKENS) * 2, pair_stride);
      for (uint32_t s = 0; s < SPLITS; s++) {
        load_tile<6>(m.p[s] + t, p_stride);
        dot_bf16<0, 6, 4>();
        dot_bf16<1, 6, 5>();
        if (blocks == 1) continue;
        load_tile<7>(m.p[s] + TILE_ROWS * TILE_KEYS + t, p_stride);
        dot_bf16<2, 7, 4>();
        dot_bf16<3, 7, 5>();
      }
    }
    store_tile<0>(to, out_stride);
    store_tile<1>(to + GROUP_TOKENS, out_stride);
    if (blocks == 1) continue;
    store_tile<2>(to + TILE_ROWS * row, out_stride);
    store_tile<3>(to + TILE_ROWS * row + GROUP_TOKENS, out_stride);
  }
}

#endif

} // namespace bz::BZ_LEVEL
