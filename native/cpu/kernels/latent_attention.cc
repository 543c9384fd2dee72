// bz_latent_attention: the walk of attention_items.h with one KV head, whose cached rows are keys and values at once. A
// tile is read for up to MAX_QUERIES heads and rows.
#include "attention_items.h"
#include "latent_cache.h"

namespace bz::BZ_LEVEL {

// Query vectors whose sums, with four keys and one operand that passes by, fit the registers.
constexpr uint32_t SCORE_QUERIES = NUM_REGISTERS == 32 ? 6 : 2;
constexpr uint32_t SCORE_KEYS = 4;

// x and y, each of PARTS sums over neighbouring lanes, folded in halves: the sums of x, then those of y.
template <uint32_t PARTS> BZ_INLINE F fold(F x, F y) {
  constexpr uint32_t lanes = W / PARTS / 2; // of a sum that are left
  I low = {}, high = {};
  for (uint32_t i = 0; i < W; i++) {
    low[i] = static_cast<int32_t>(i / lanes * 2 * lanes + i % lanes);
    high[i] = low[i] + static_cast<int32_t>(lanes);
  }
  return __builtin_shuffle(x, y, low) + __builtin_shuffle(x, y, high);
}

// The sums of four vectors' lanes, one after the other.
BZ_INLINE void sum_four(const F (&v)[SCORE_KEYS], float *sums) {
  F all = fold<2>(fold<1>(v[0], v[1]), fold<1>(v[2], v[3]));
#pragma GCC unroll 4
  for (uint32_t half = W / 8; half > 0; half /= 2)
    all = all + __builtin_shuffle(all, lane_numbers() ^ static_cast<int32_t>(half));
  for (uint32_t i = 0; i < SCORE_KEYS; i++) sums[i] = all[i * W / SCORE_KEYS];
}

// scores[n][0, 64) = q k^T for N query vectors, whose rows are as long as the cache's. Every score is one chain of
// fused additions a lane and then a sum over the lanes, whatever the number of vectors. `ahead`: rows to prefetch
// meanwhile, if AHEAD.
template <class Kv, uint32_t N, bool AHEAD>
[[gnu::noinline]] static void score_rows(const float *q, uint64_t row, const typename Kv::Element *const *groups,
                                         [[maybe_unused]] const typename Kv::Element *const *ahead, float *scores) {
  for (uint32_t key = 0; key < TILE_KEYS; key += SCORE_KEYS) {
    const uint64_t offset = key % GROUP_TOKENS * row;
    const typename Kv::Element *pairs = groups[key / GROUP_TOKENS] + offset;
    F acc[N][SCORE_KEYS] = {};
    for (uint64_t i = 0; i < row; i += W) {
      if constexpr (AHEAD) {
        if (i % GROUP_TOKENS == 0)
          for (uint32_t k = 0; k < SCORE_KEYS; k += Kv::VALUE_STEP)
            __builtin_prefetch(ahead[key / GROUP_TOKENS] + offset + k * row + i * Kv::VALUE_STEP);
      }
      F keys[SCORE_KEYS];
      for (uint32_t k = 0; k < SCORE_KEYS; k++)
        keys[k] = Kv::template load_value<false>(pairs + k / 2 * 2 * row + i * Kv::VALUE_STEP, row, k % 2 != 0);
#pragma GCC unroll 6
      for (uint32_t n = 0; n < N; n++) {
        const F value = load(q + n * row + i);
#pragma GCC unroll 4
        for (uint32_t k = 0; k < SCORE_KEYS; k++) acc[n][k] = fma(value, keys[k], acc[n][k]);
      }
    }
    for (uint32_t n = 0; n < N; n++) sum_four(acc[n], scores + n * TILE_KEYS + key);
  }
}

// The products of one thread.
template <class Kv> struct LatentProducts {
  typedef typename Kv::Element Element;
  struct Tile {
    const Element *rows[TILE_GROUPS];
  };

  const AttentionShape &a;
  Team &team;
  const Element *cache;
  uint32_t rank;
  uint64_t row;
  float *q; // the item's query vectors, laid out as rows of the cache
  float *partials;

  Partial partial(uint32_t n) const { return partial_at(partials, n, rank); }

  uint64_t acc_rows(uint32_t count) const { return count; }

  bool find_tile(const Item &item, int64_t tile_begin, Span span, Tile &tile) {
    return find_groups(a, item, tile_begin, span, team, [&](uint32_t g, uint64_t block, uint64_t offset) {
      tile.rows[g] = latent_group(cache, (block * a.block_size + offset) / GROUP_TOKENS, row);
    });
  }

  void begin_item(const Item &item) {
    const uint64_t rope_dim = a.query_dim - rank, rope_at = padded_dim(rank);
    std::memset(q, 0, item.count * row * 4);
    for (uint32_t i = 0; i < item.count; i++) {
      const float *vector = vector_of(a, a.q, item, item.first + i, a.query_dim);
      std::memcpy(q + i * row, vector, uint64_t{rank} * 4);
      std::memcpy(q + i * row + rope_at, vector + rank, rope_dim * 4);
    }
  }

  void attend_tile(const Item &item, int64_t tile_begin, uint32_t from, uint32_t to, const Tile *next,
                   const Partial &out) {
    alignas(64) float scores[MAX_QUERIES * TILE_KEYS];
    const uint64_t value_row = padded_dim(rank);
    const auto [span, begin, end] = keys_of(a, item, tile_begin, from, to);
    Tile tile;
    if (!find_tile(item, tile_begin, span, tile)) return;
    for_query_groups<SCORE_QUERIES>(to - from, [&](uint32_t at, auto n) {
      constexpr uint32_t N = decltype(n)::value;
      const float *vectors = q + (from + at) * row;
      float *to_scores = scores + at * TILE_KEYS;
      if (next != nullptr && at == 0) score_rows<Kv, N, true>(vectors, row, tile.rows, next->rows, to_scores);
      else score_rows<Kv, N, false>(vectors, row, tile.rows, nullptr, to_scores);
    });
    soften_tile(a, item, tile_begin, from, to, from, scores, out);
    const ValueRows values = {begin, end, row, value_row};
    for_query_groups(to - from, [&](uint32_t at, auto n) {
      value_tile<Kv, decltype(n)::value, false>(scores + at * TILE_KEYS, tile.rows, nullptr, values,
                                                out.acc + (from + at) * value_row);
    });
  }
};

template <class Kv> static void run(const bz_latent_attention_args &args, const AttentionShape &a, Team &team) {
  // Behind the partial results that threads share.
  std::byte *memory = team.scratch() + attention_scratch_bytes(a, team.n);
  float *q = reinterpret_cast<float *>(memory) + team.tid * latent_thread_floats(args);
  const uint64_t row = latent_row(args.rank, args.rope_dim);
  attend(LatentProducts<Kv>{a, team, static_cast<const typename Kv::Element *>(args.cache), args.rank, row, q,
                            q + MAX_QUERIES * row});
}

void latent_attention(const bz_latent_attention_args &args, Team &team) {
  if (args.num_requests == 0) return;
  const AttentionShape a = shape_of(args);
  if (!check_requests(a, team)) return;
  clear_padding(a, team);
  if (args.kv_dtype == BZ_F32) run<KvF32>(args, a, team);
  else run<KvBf16>(args, a, team);
}

} // namespace bz::BZ_LEVEL
