// bz_attention: the walk of attention_items.h over a cache of keys and values.
#include "attention_amx.h"
#include "attention_items.h"

namespace bz::BZ_LEVEL {

// The products of one thread. `matrix` is NULL where they are done in registers.
template <class Kv> struct KvProducts {
  typedef typename Kv::Element Element;
  // The cache rows of one tile.
  struct Tile {
    const Element *keys[TILE_GROUPS], *values[TILE_GROUPS];
  };

  const AttentionShape &a;
  Team &team;
  const Element *k_cache, *v_cache;
  MatrixScratch *matrix;
  float *q;       // the item's query vectors, QUERY_STRIDE apart
  float *partials; // of two partial results

  Partial partial(uint32_t n) const { return partial_at(partials, n, a.value_dim); }

  uint64_t acc_rows(uint32_t count) const { return matrix == nullptr ? count : (count + 15) / 16 * 16; } // whole tiles

  bool find_tile(const Item &item, int64_t tile_begin, Span span, Tile &tile) {
    const uint64_t d = a.query_dim, row = padded_dim(d);
    return find_groups(a, item, tile_begin, span, team, [&](uint32_t g, uint64_t block, uint64_t offset) {
      tile.keys[g] = k_cache + block_offset(block, item.kv_head, a.num_kv_heads, a.block_size, d) + offset * d;
      tile.values[g] = v_cache + block_offset(block, item.kv_head, a.num_kv_heads, a.block_size, row) + offset * row;
    });
  }

  void begin_item(const Item &item) {
    const float *vectors[MAX_QUERIES];
    for (uint32_t i = 0; i < item.count; i++) vectors[i] = vector_of(a, a.q, item, item.first + i, a.query_dim);
#if defined(__AMX_BF16__)
    if (matrix != nullptr) return split_queries(vectors, item.count, a.query_dim, *matrix);
#endif
    for (uint32_t i = 0; i < item.count; i++) std::memcpy(q + i * QUERY_STRIDE, vectors[i], a.query_dim * 4);
  }

  void attend_tile(const Item &item, int64_t tile_begin, uint32_t from, uint32_t to, const Tile *next,
                   const Partial &out) {
    alignas(64) float scores[MAX_QUERIES * TILE_KEYS];
    const uint64_t row = padded_dim(a.value_dim);
    const auto [span, begin, end] = keys_of(a, item, tile_begin, from, to);
    Tile tile;
    if (!find_tile(item, tile_begin, span, tile)) return;
#if defined(__AMX_BF16__)
    if constexpr (sizeof(Element) == 2) {
      if (MatrixScratch *m = matrix; m != nullptr) {
        const uint32_t base = from / TILE_ROWS * TILE_ROWS, blocks = (to - 1 - base) / TILE_ROWS + 1;
        score_matrix(*m, base, blocks, tile.keys, a.query_dim, scores);
        soften_tile(a, item, tile_begin, from, to, base, scores, out);
        split_weights(scores, from - base, to - base, blocks * TILE_ROWS, *m);
        gather_values(tile.values, begin, end, row, *m);
        value_matrix(*m, blocks, row, out.acc + base * row);
        return;
      }
    }
#endif
    for_query_groups(to - from, [&](uint32_t at, auto n) {
      const float *vectors = q + (from + at) * QUERY_STRIDE;
      float *to_scores = scores + at * TILE_KEYS;
      if (next != nullptr && at == 0)
        score_tile<Kv, decltype(n)::value, true>(vectors, tile.keys, next->keys, a.query_dim, to_scores);
      else score_tile<Kv, decltype(n)::value, false>(vectors, tile.keys, nullptr, a.query_dim, to_scores);
    });
    soften_tile(a, item, tile_begin, from, to, from, scores, out);
    for_query_groups(to - from, [&](uint32_t at, auto n) {
      float *acc = out.acc + (from + at) * row;
      const float *p = scores + at * TILE_KEYS;
      if (next != nullptr && at == 0)
        value_tile<Kv, decltype(n)::value, true>(p, tile.values, next->values, {begin, end, row, row}, acc);
      else value_tile<Kv, decltype(n)::value, false>(p, tile.values, nullptr, {begin, end, row, row}, acc);
    });
  }
};

template <class Kv>
static void run(const bz_attention_args &args, const AttentionShape &a, Team &team, MatrixScratch *matrix) {
  alignas(64) float q[MAX_QUERIES * QUERY_STRIDE], partials[2 * MAX_QUERIES * (2 + MAX_ROW)];
  typedef const typename Kv::Element *Cache;
  attend(KvProducts<Kv>{a, team, static_cast<Cache>(args.k_cache), static_cast<Cache>(args.v_cache), matrix, q,
                        partials});
}

void attention(const bz_attention_args &args, Team &team) {
  if (args.num_requests == 0) return;
  const AttentionShape a = shape_of(args);
  if (!check_requests(a, team)) return;
  clear_padding(a, team);
  if (args.kv_dtype == BZ_F32) return run<KvF32>(args, a, team, nullptr);
#if defined(__AMX_BF16__)
  if (args.head_dim % TILE_DEPTH == 0) { // tiles of whole depth
    MatrixScratch matrix;
    const TileConfig config(TILE_ROWS);
    return run<KvBf16>(args, a, team, &matrix);
  }
#endif
  run<KvBf16>(args, a, team, nullptr);
}

} // namespace bz::BZ_LEVEL
