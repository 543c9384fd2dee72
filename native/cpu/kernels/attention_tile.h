// The two products of attention over one tile of keys, for a few query vectors at a time.
//
// Every score is one chain of fused additions over d, and every output element one chain over the keys, whatever the
// number of query vectors that share the loads: a vector's result does not depend on its neighbours.
#pragma once
#include "kv_cache.h"

namespace bz::BZ_LEVEL {

constexpr uint32_t TILE_KEYS = 64; // keys a tile; tiles start at multiples of it
constexpr uint32_t TILE_GROUPS = TILE_KEYS / GROUP_TOKENS, TILE_VECTORS = TILE_KEYS / W;
// Register tile: QUERIES query vectors by COLUMNS registers of keys or dimensions.
constexpr uint32_t COLUMNS = 4;
constexpr uint32_t QUERIES = NUM_REGISTERS == 32 ? 6 : W == 8 ? 3 : 2;

// scores[q][0, 64) = q k^T for N query vectors.
template <class Kv, uint32_t N> static void score_tile(const float *const *q, const typename Kv::Element *const *groups,
                                                       uint32_t d, float *scores) {
  for (uint32_t first = 0; first < TILE_VECTORS; first += COLUMNS) {
    F acc[N][COLUMNS] = {};
    const typename Kv::Element *group[COLUMNS];
    uint32_t lane[COLUMNS];
    for (uint32_t j = 0; j < COLUMNS; j++) {
      group[j] = groups[(first + j) * W / GROUP_TOKENS];
      lane[j] = (first + j) * W % GROUP_TOKENS;
    }
    for (uint32_t i = 0; i < d; i += 2) {
      F even[COLUMNS], odd[COLUMNS];
#pragma GCC unroll 4
      for (uint32_t j = 0; j < COLUMNS; j++) Kv::load_pair(group[j], i / 2, lane[j], even[j], odd[j]);
#pragma GCC unroll 6
      for (uint32_t n = 0; n < N; n++) {
        const F q0 = set(q[n][i]), q1 = set(q[n][i + 1]);
#pragma GCC unroll 4
        for (uint32_t j = 0; j < COLUMNS; j++) acc[n][j] = fma(odd[j], q1, fma(even[j], q0, acc[n][j]));
      }
    }
    for (uint32_t n = 0; n < N; n++)
      for (uint32_t j = 0; j < COLUMNS; j++) store(scores + n * TILE_KEYS + (first + j) * W, acc[n][j]);
  }
}

// out[q][0, C * W) += p[q][begin, end) V[begin, end) for N query vectors. Rows of out and V are `row` elements.
template <class Kv, uint32_t N, uint32_t C>
static void value_columns(const float *p, const typename Kv::Element *const *values, uint32_t begin, uint32_t end,
                          uint64_t row, uint64_t column, float *out) {
  F acc[N][C];
  for (uint32_t n = 0; n < N; n++)
    for (uint32_t j = 0; j < C; j++) acc[n][j] = load(out + n * row + column + j * W);
  const auto add = [&](uint32_t t, const F *value) {
#pragma GCC unroll 6
    for (uint32_t n = 0; n < N; n++) {
      const F weight = set(p[n * TILE_KEYS + t]);
#pragma GCC unroll 4
      for (uint32_t j = 0; j < C; j++) acc[n][j] = fma(value[j], weight, acc[n][j]);
    }
  };
  F even[C], odd[C];
  for (uint32_t t = begin; t < end; t++) {
    const typename Kv::Element *group = values[t / GROUP_TOKENS];
    const uint32_t token = t % GROUP_TOKENS;
    if (token % 2 == 0 && t + 1 < end) {
#pragma GCC unroll 4
      for (uint32_t j = 0; j < C; j++) Kv::load_values(group, token, row, column + j * W, even[j], odd[j]);
      add(t, even);
      add(++t, odd);
    } else {
#pragma GCC unroll 4
      for (uint32_t j = 0; j < C; j++) even[j] = Kv::load_value(group, token, row, column + j * W);
      add(t, even);
    }
  }
  for (uint32_t n = 0; n < N; n++)
    for (uint32_t j = 0; j < C; j++) store(out + n * row + column + j * W, acc[n][j]);
}

template <class Kv, uint32_t N>
static void value_tile(const float *p, const typename Kv::Element *const *values, uint32_t begin, uint32_t end,
                       uint64_t row, float *out) {
  uint64_t column = 0;
  for (; column + COLUMNS * W <= row; column += COLUMNS * W)
    value_columns<Kv, N, COLUMNS>(p, values, begin, end, row, column, out);
  for (; column + 2 * W <= row; column += 2 * W) value_columns<Kv, N, 2>(p, values, begin, end, row, column, out);
  for (; column < row; column += W) value_columns<Kv, N, 1>(p, values, begin, end, row, column, out);
}

// Calls f with the count of vectors as a type, for groups of at most QUERIES out of `count`.
template <uint32_t N> struct Count {
  static constexpr uint32_t value = N;
};
template <class Fn> BZ_INLINE void for_query_groups(uint32_t count, Fn f) {
  for (uint32_t at = 0; at < count;) {
    const uint32_t left = count - at, groups = (left + QUERIES - 1) / QUERIES, n = (left + groups - 1) / groups;
    switch (n) {
      case 1: f(at, Count<1>{}); break;
      case 2: f(at, Count<2>{}); break;
      case 3: if constexpr (QUERIES >= 3) f(at, Count<3>{}); break;
      case 4: if constexpr (QUERIES >= 4) f(at, Count<4>{}); break;
      case 5: if constexpr (QUERIES >= 5) f(at, Count<5>{}); break;
      default: if constexpr (QUERIES >= 6) f(at, Count<6>{}); break;
    }
    at += n;
  }
}

} // namespace bz::BZ_LEVEL
