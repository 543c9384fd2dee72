// The two products of attention over one tile of keys, for a few query vectors at a time.
//
// Every score is one chain of fused additions over d, and every output element one chain over the keys, whatever the
// number of query vectors that share the loads: a vector's result does not depend on its neighbours. The loops are kept
// out of line: inside a larger function the compiler puts sums into memory.
#pragma once
#include <type_traits>

#include "../attention_plan.h"
#include "kv_cache.h"

namespace bz::BZ_LEVEL {

constexpr uint32_t TILE_KEYS = 64; // keys a tile; tiles start at multiples of it
constexpr uint32_t TILE_GROUPS = TILE_KEYS / GROUP_TOKENS, TILE_VECTORS = TILE_KEYS / W;
// From a query vector to the next: known to the compiler, and such that all of an item's fit the first cache.
constexpr uint64_t QUERY_STRIDE = MAX_ROW + 16;
// Register tile: at most QUERIES query vectors by tile_columns registers of keys or dimensions.
constexpr uint32_t QUERIES = NUM_REGISTERS == 32 ? 6 : W == 8 ? 5 : 2;
constexpr uint32_t tile_columns(uint32_t queries) { return W == 8 ? (queries > 3 ? 2 : queries > 1 ? 4 : 8) : 4; }

// Whether sums, the operands that are held, and one that passes by take every register.
constexpr bool crowded(uint32_t n, uint32_t c) { return n * c + (n < c ? n : c) + 1 >= NUM_REGISTERS; }

// acc[n][j] += rows(j) * weights(n). The fewer of both are held in registers while the others pass by.
template <uint32_t N, uint32_t C, class Rows, class Weights>
BZ_INLINE void add_product(F (&acc)[N][C], Rows rows, Weights weights) {
  if constexpr (N < C) {
    F held[N];
    for (uint32_t n = 0; n < N; n++) held[n] = set(weights(n));
#pragma GCC unroll 8
    for (uint32_t j = 0; j < C; j++) {
      const F row = rows(j);
#pragma GCC unroll 6
      for (uint32_t n = 0; n < N; n++) acc[n][j] = fma(row, held[n], acc[n][j]);
    }
  } else {
    F held[C];
    for (uint32_t j = 0; j < C; j++) held[j] = rows(j);
#pragma GCC unroll 6
    for (uint32_t n = 0; n < N; n++) {
      const F weight = set(weights(n));
#pragma GCC unroll 8
      for (uint32_t j = 0; j < C; j++) acc[n][j] = fma(held[j], weight, acc[n][j]);
    }
  }
}

// scores[n][0, 64) = q k^T for N query vectors; rows of q are QUERY_STRIDE apart. `ahead`: keys to prefetch
// meanwhile, if AHEAD.
template <class Kv, uint32_t N, bool AHEAD>
[[gnu::noinline]] static void score_tile(const float *q, const typename Kv::Element *const *groups,
                                         [[maybe_unused]] const typename Kv::Element *const *ahead, uint32_t d,
                                         float *scores) {
  constexpr uint32_t C = tile_columns(N);
  for (uint32_t first = 0; first < TILE_VECTORS; first += C) {
    F acc[N][C] = {};
    const typename Kv::Element *keys[C]; // W of each, where they lie side by side
    for (uint32_t j = 0; j < C; j++)
      keys[j] = groups[(first + j) * W / GROUP_TOKENS] + (first + j) * W % GROUP_TOKENS * Kv::KEY_STEP;
    for (uint64_t i = 0; i < d; i += 2) {
      if constexpr (AHEAD)
        for (uint32_t j = 0; j < C; j += GROUP_TOKENS / W)
          __builtin_prefetch(ahead[(first + j) * W / GROUP_TOKENS] + i * GROUP_TOKENS);
#pragma GCC unroll 2
      for (uint32_t odd = 0; odd < 2; odd++) {
        add_product(acc, [&](uint32_t j) { return Kv::template load_key<crowded(N, C)>(keys[j], i, odd != 0); },
                    [&](uint32_t n) { return q[n * QUERY_STRIDE + i + odd]; });
        asm volatile("" ::: "memory"); // else loads of the next dimension come early and take registers
      }
    }
    for (uint32_t n = 0; n < N; n++)
      for (uint32_t j = 0; j < C; j++) store(scores + n * TILE_KEYS + (first + j) * W, acc[n][j]);
  }
}

// acc += weights V for the first or the second of a pair of tokens.
template <class Kv, uint32_t N, uint32_t C>
BZ_INLINE void add_token(F (&acc)[N][C], const typename Kv::Element *pair, uint64_t row, const float *weights,
                         bool odd) {
  add_product(acc,
              [&](uint32_t j) {
                return Kv::template load_value<crowded(N, C)>(pair + j * W * Kv::VALUE_STEP, row, odd);
              },
              [&](uint32_t n) { return weights[n * TILE_KEYS + odd]; });
}

// Keys [begin, end) of a tile, whose values lie in rows of `row` elements; of them the first `cols` are wanted.
struct ValueRows {
  uint32_t begin, end;
  uint64_t row, cols;
};

// out[q][column, column + C * W) += p[q] V for N query vectors. Rows of out have as many values as are wanted.
template <class Kv, uint32_t N, uint32_t C, bool AHEAD>
[[gnu::noinline]] static void value_columns(const float *p, const typename Kv::Element *const *values,
                                            [[maybe_unused]] const typename Kv::Element *const *ahead,
                                            const ValueRows &rows, uint64_t column, float *out) {
  const auto [begin, end, row, cols] = rows;
  F acc[N][C];
  for (uint32_t n = 0; n < N; n++)
    for (uint32_t j = 0; j < C; j++) acc[n][j] = load(out + n * cols + column + j * W);
  for (uint32_t first = begin / GROUP_TOKENS * GROUP_TOKENS; first < end; first += GROUP_TOKENS) {
    const uint32_t from = begin > first ? begin - first : 0;
    const uint32_t to = end - first < GROUP_TOKENS ? end - first : GROUP_TOKENS;
    const uint64_t offset = from / 2 * 2 * row + column * Kv::VALUE_STEP;
    const typename Kv::Element *pair = values[first / GROUP_TOKENS] + offset;
    [[maybe_unused]] const typename Kv::Element *later = AHEAD ? ahead[first / GROUP_TOKENS] + offset : nullptr;
    const float *weights = p + first + from / 2 * 2;
    uint32_t t = from;
    if (t % 2 != 0) {
      add_token<Kv>(acc, pair, row, weights, true);
      pair += 2 * row;
      if constexpr (AHEAD) later += 2 * row;
      weights += 2;
      t++;
    }
    for (; t + 2 <= to; t += 2, pair += 2 * row, weights += 2) {
      if constexpr (AHEAD) {
        for (uint32_t i = 0; i < C * W; i += GROUP_TOKENS) __builtin_prefetch(later + i * Kv::VALUE_STEP);
        later += 2 * row;
      }
      add_token<Kv>(acc, pair, row, weights, false);
      asm("" : "+r"(pair), "+r"(weights)); // else the second token's loads come early and take registers
      add_token<Kv>(acc, pair, row, weights, true);
    }
    if (t < to) add_token<Kv>(acc, pair, row, weights, false);
  }
  for (uint32_t n = 0; n < N; n++)
    for (uint32_t j = 0; j < C; j++) store(out + n * cols + column + j * W, acc[n][j]);
}

template <class Kv, uint32_t N, bool AHEAD>
static void value_tile(const float *p, const typename Kv::Element *const *values,
                       const typename Kv::Element *const *ahead, const ValueRows &rows, float *out) {
  uint64_t column = 0;
  constexpr uint32_t C = tile_columns(N);
  for (; column + C * W <= rows.cols; column += C * W)
    value_columns<Kv, N, C, AHEAD>(p, values, ahead, rows, column, out);
  for (; column + 2 * W <= rows.cols; column += 2 * W)
    value_columns<Kv, N, 2, AHEAD>(p, values, ahead, rows, column, out);
  for (; column < rows.cols; column += W) value_columns<Kv, N, 1, AHEAD>(p, values, ahead, rows, column, out);
}

// Calls f with the count of vectors as a type, for groups of at most MOST out of `count`.
template <uint32_t N> struct Count {
  static constexpr uint32_t value = N;
};
template <uint32_t MOST = QUERIES, class Fn> BZ_INLINE void for_query_groups(uint32_t count, Fn f) {
  for (uint32_t at = 0; at < count;) {
    const uint32_t left = count - at, groups = (left + MOST - 1) / MOST, n = (left + groups - 1) / groups;
    switch (n) {
      case 1: f(at, Count<1>{}); break;
      case 2: f(at, Count<2>{}); break;
      case 3: if constexpr (MOST >= 3) f(at, Count<3>{}); break;
      case 4: if constexpr (MOST >= 4) f(at, Count<4>{}); break;
      case 5: if constexpr (MOST >= 5) f(at, Count<5>{}); break;
      default: if constexpr (MOST >= 6) f(at, Count<6>{}); break;
    }
    at += n;
  }
}

} // namespace bz::BZ_LEVEL
