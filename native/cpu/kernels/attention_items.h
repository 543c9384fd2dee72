// The walk of attention over its items, whatever is cached of a token: online softmax over a paged cache.
//
// Work    an item is (request, KV head, up to MAX_QUERIES query vectors); a query vector is one head of one row, and
//         an item's vectors read the same keys. With few items and long contexts, threads share an item's chunks.
// Order   keys are taken in tiles of 64 and chunks of CHUNK_KEYS, both counted from position 0. A chunk gives a partial
//         result (largest score m, sum l, values acc), and a vector's partials are merged in order, by one thread or by
//         many: a row's result depends on its own keys alone, not on threads, batch, or how the prompt was cut.
//
// `Products`, one object a thread, knows the cache:
//   const AttentionShape &a; Team &team
//   Tile                                              where the keys of a tile lie
//   bool find_tile(item, tile_begin, span, tile)      false: an id in the block table is wrong, and the op has failed
//   void begin_item(item)                             before the first tile of an item
//   void attend_tile(item, tile_begin, from, to, next, out)
//                                                     one tile for the vectors [from, to), all of which see some of its
//                                                     keys; `next`: the tile to prefetch meanwhile, or NULL
//   uint32_t acc_rows(count)                          rows of acc that attend_tile may touch
//   Partial partial(n)                                memory of its own for n = 0 and 1
#pragma once
#include <cmath>

#include "../attention_plan.h"
#include "../kernels.h"
#include "attention_tile.h"

namespace bz::BZ_LEVEL {

// What softmax has seen so far of each query vector of an item; acc rows have padded_dim(value_dim) values.
struct Partial {
  float *m, *l, *acc;
};

// Partial results in memory of part_floats() each.
static inline Partial partial_at(float *memory, uint64_t n, uint32_t value_dim) {
  float *at = memory + n * part_floats(value_dim);
  return {at, at + MAX_QUERIES, at + 2 * MAX_QUERIES};
}

struct Item {
  uint32_t request, kv_head;
  uint32_t first, count; // query vectors [first, first + count) of the request: head index % G of row index / G
  int64_t seq_len, rows;
};

struct Span {
  int64_t begin, end;
};

// The keys that query vector `index` of the item sees.
static inline Span visible(const AttentionShape &a, const Item &item, uint32_t index) {
  if (a.causal == 0) return {0, item.seq_len};
  const uint32_t group = a.num_heads / a.num_kv_heads;
  const int64_t end = item.seq_len - item.rows + int64_t{index / group} + 1;
  return {a.window > 0 && end > int64_t{a.window} ? end - int64_t{a.window} : 0, end};
}

// Where the vector of an item lies in a matrix that has `dim` values a head.
static inline float *vector_of(const AttentionShape &a, const bz_matrix &m, const Item &item, uint32_t index,
                               uint32_t dim) {
  const uint32_t group = a.num_heads / a.num_kv_heads;
  const uint64_t row = static_cast<uint64_t>(a.query_start[item.request]) + index / group;
  return row_of(m, row) + (uint64_t{item.kv_head} * group + index % group) * dim;
}

// Calls place(g, block, offset) for each group of 16 keys of a tile. Groups outside the span repeat the first one that
// is in it: they are computed and masked. False when the block table has an id that the cache lacks.
template <class Place> static bool find_groups(const AttentionShape &a, const Item &item, int64_t tile_begin, Span span,
                                               Team &team, Place place) {
  const int32_t *table = a.block_table + uint64_t{item.request} * a.block_table_stride;
  uint64_t blocks[TILE_GROUPS], offsets[TILE_GROUPS];
  uint32_t found = TILE_GROUPS;
  bool is_in_span[TILE_GROUPS];
  for (uint32_t g = 0; g < TILE_GROUPS; g++) {
    const int64_t key = tile_begin + int64_t{g} * GROUP_TOKENS;
    is_in_span[g] = key + int64_t{GROUP_TOKENS} > span.begin && key < span.end;
    if (!is_in_span[g]) continue;
    const uint64_t at = static_cast<uint64_t>(key), index = at / a.block_size;
    const int32_t block = table[index];
    if (static_cast<uint32_t>(block) >= a.num_blocks) {
      team.fail(BZ_EINVAL, "%s: block_table[%u, %llu] is %d, the cache has %u blocks", a.op, item.request,
                static_cast<unsigned long long>(index), block, a.num_blocks);
      return false;
    }
    blocks[g] = static_cast<uint32_t>(block);
    offsets[g] = at % a.block_size;
    if (found == TILE_GROUPS) found = g;
  }
  for (uint32_t g = 0; g < TILE_GROUPS; g++) {
    const uint32_t from = is_in_span[g] ? g : found;
    place(g, blocks[from], offsets[from]);
  }
  return true;
}

// Turns one vector's scores of a tile into weights, and brings m, l and acc up to date. [begin, end): its keys in the
// tile.
static inline void soften(const AttentionShape &a, float *scores, int32_t begin, int32_t end, float &m, float &l,
                          float *acc, uint64_t row) {
  F s[TILE_VECTORS];
  for (uint32_t j = 0; j < TILE_VECTORS; j++) {
    s[j] = load(scores + j * W) * a.scale;
    if (a.softcap > 0) s[j] = a.softcap * tanh(s[j] / a.softcap);
  }
  if (begin > 0 || end < static_cast<int32_t>(TILE_KEYS)) {
    for (uint32_t j = 0; j < TILE_VECTORS; j++) {
      const I key = lane_numbers() + static_cast<int32_t>(j * W);
      s[j] = (key >= begin) & (key < end) ? s[j] : set(-INFINITY);
    }
  }
  F top = s[0];
  for (uint32_t j = 1; j < TILE_VECTORS; j++) top = max(s[j], top);
  const float highest = max_lanes(top);
  if (highest > m) {
    const float shrink = exp(set(m - highest))[0]; // m is -inf at first: 0
    l *= shrink;
    for (uint64_t i = 0; i < row; i += W) store(acc + i, load(acc + i) * shrink);
    m = highest;
  }
  const float origin = m == -INFINITY ? 0 : m; // all keys at -inf: no weight
  F sum = {};
  for (uint32_t j = 0; j < TILE_VECTORS; j++) {
    const F p = exp(s[j] - origin);
    store(scores + j * W, p);
    sum = sum + p;
  }
  l += sum_lanes(sum);
}

// Scores to weights, for the vectors [from, to) of an item; `scores` is that of vector `base`.
static inline void soften_tile(const AttentionShape &a, const Item &item, int64_t tile_begin, uint32_t from,
                               uint32_t to, uint32_t base, float *scores, const Partial &out) {
  const uint64_t row = padded_dim(a.value_dim);
  for (uint32_t i = from; i < to; i++) {
    const Span sees = visible(a, item, item.first + i);
    const int64_t begin = sees.begin - tile_begin, end = sees.end - tile_begin;
    soften(a, scores + (i - base) * TILE_KEYS, begin > 0 ? static_cast<int32_t>(begin) : 0,
           end < int64_t{TILE_KEYS} ? static_cast<int32_t>(end) : static_cast<int32_t>(TILE_KEYS), out.m[i], out.l[i],
           out.acc + i * row, row);
  }
}

// The keys of a tile that vectors [from, to) of an item see, counted from its first. Only they hold tokens of the
// request: what lies in the other slots may not even be a number.
struct TileKeys {
  Span span; // of the request
  uint32_t begin, end;
};
static inline TileKeys keys_of(const AttentionShape &a, const Item &item, int64_t tile_begin, uint32_t from,
                               uint32_t to) {
  const Span span = {visible(a, item, item.first + from).begin, visible(a, item, item.first + to - 1).end};
  const int64_t left = span.end - tile_begin;
  return {span, span.begin > tile_begin ? static_cast<uint32_t>(span.begin - tile_begin) : 0,
          left < int64_t{TILE_KEYS} ? static_cast<uint32_t>(left) : TILE_KEYS};
}

// The first tile that an item reads, where it is worth asking memory for early: a lone row passes once over its keys,
// and memory sets the pace. With more rows it is the products.
template <class Products> static bool find_first_tile(const Item &item, Products &p, typename Products::Tile &tile) {
  if (item.rows != 1) return false;
  const Span sees = visible(p.a, item, item.first);
  return p.find_tile(item, sees.begin / TILE_KEYS * TILE_KEYS, sees, tile);
}

// The partial result of every vector over the keys of one chunk. `after`: the tile that is read after them, or NULL.
template <class Products> static void attend_chunk(const Item &item, int64_t chunk,
                                                   const typename Products::Tile *after, Products &p,
                                                   const Partial &out) {
  const AttentionShape &a = p.a;
  for (uint32_t i = 0; i < item.count; i++) out.m[i] = -INFINITY, out.l[i] = 0;
  std::memset(out.acc, 0, p.acc_rows(item.count) * padded_dim(a.value_dim) * 4);
  const Span lowest = visible(a, item, item.first), highest = visible(a, item, item.first + item.count - 1);
  int64_t begin = chunk * int64_t{CHUNK_KEYS}, end = begin + int64_t{CHUNK_KEYS};
  if (begin < lowest.begin) begin = lowest.begin / TILE_KEYS * TILE_KEYS;
  if (end > highest.end) end = highest.end;
  uint32_t from = 0, to = 0;
  for (int64_t tile = begin; tile < end; tile += TILE_KEYS) {
    // Later rows see later keys: the vectors that see this tile are a range, and both its borders only rise.
    while (from < item.count && visible(a, item, item.first + from).end <= tile) from++;
    if (to < from) to = from;
    while (to < item.count && visible(a, item, item.first + to).begin < tile + int64_t{TILE_KEYS}) to++;
    if (from == to) continue;
    const Span rest = {tile + int64_t{TILE_KEYS}, highest.end};
    typename Products::Tile next;
    const bool has_next = item.rows == 1 && rest.begin < rest.end && p.find_tile(item, rest.begin, rest, next);
    p.attend_tile(item, tile, from, to, has_next ? &next : after, out);
  }
}

static inline void merge(float &m, float &l, float *acc, float part_m, float part_l, const float *part_acc,
                         uint64_t row) {
  if (part_m == -INFINITY) return;
  const float top = part_m > m ? part_m : m;
  const F shrinks = exp(set(m - top)), grows = exp(set(part_m - top));
  l = l * shrinks[0] + part_l * grows[0];
  for (uint64_t i = 0; i < row; i += W) store(acc + i, fma(load(acc + i), shrinks, load(part_acc + i) * grows));
  m = top;
}

static inline void finish(const AttentionShape &a, const Item &item, uint32_t i, float m, float l, const float *acc) {
  const uint32_t group = a.num_heads / a.num_kv_heads, index = item.first + i;
  float shrink = 1;
  if (a.sinks != nullptr) {
    const float sink = a.sinks[item.kv_head * group + index % group], top = sink > m ? sink : m;
    shrink = exp(set(m - top))[0];
    l = l * shrink + exp(set(sink - top))[0];
  }
  const float scale = l > 0 ? shrink / l : 0;
  float *out = vector_of(a, a.out, item, index, a.value_dim);
  uint32_t d = 0;
  for (; d + W <= a.value_dim; d += W) store(out + d, load(acc + d) * scale);
  if (d < a.value_dim) store_first(out + d, a.value_dim - d, load(acc + d) * scale);
}

// The item's chunks that any of its vectors sees.
static inline Span chunks_of(const AttentionShape &a, const Item &item) {
  const Span lowest = visible(a, item, item.first), highest = visible(a, item, item.first + item.count - 1);
  return {lowest.begin / CHUNK_KEYS, (highest.end + CHUNK_KEYS - 1) / CHUNK_KEYS};
}

// All chunks of an item, one after the other. `after`: the first tile of the thread's next item, or NULL.
template <class Products>
static void attend_item(const Item &item, const typename Products::Tile *after, Products &p) {
  const AttentionShape &a = p.a;
  const Partial whole = p.partial(0), part = p.partial(1);
  const uint64_t row = padded_dim(a.value_dim);
  const Span chunks = chunks_of(a, item);
  p.begin_item(item);
  attend_chunk(item, chunks.begin, after, p, whole);
  for (int64_t chunk = chunks.begin + 1; chunk < chunks.end; chunk++) {
    attend_chunk(item, chunk, after, p, part);
    for (uint32_t i = 0; i < item.count; i++)
      merge(whole.m[i], whole.l[i], whole.acc + i * row, part.m[i], part.l[i], part.acc + i * row, row);
  }
  for (uint32_t i = 0; i < item.count; i++) finish(a, item, i, whole.m[i], whole.l[i], whole.acc + i * row);
}

// Walks the items in order; claims only rise, so it never goes back within a phase.
class ItemCursor {
 public:
  explicit ItemCursor(const AttentionShape &a) : a_(a), group_(a.num_heads / a.num_kv_heads) {}

  // Item number n, or false when there are fewer.
  bool find(uint64_t n, Item &item) {
    for (;; request_++, first_ += items_) {
      if (request_ == a_.num_requests) return false;
      rows_ = a_.query_start[request_ + 1] - a_.query_start[request_];
      vectors_ = static_cast<uint64_t>(rows_) * group_;
      tiles_ = (vectors_ + MAX_QUERIES - 1) / MAX_QUERIES;
      items_ = tiles_ * a_.num_kv_heads;
      if (n < first_ + items_) break;
    }
    const uint64_t local = n - first_, tile = tiles_ - 1 - local / a_.num_kv_heads; // the last rows see most: first
    const uint64_t begin = tile * MAX_QUERIES, left = vectors_ - begin;
    item = {request_, static_cast<uint32_t>(local % a_.num_kv_heads), static_cast<uint32_t>(begin),
            static_cast<uint32_t>(left < MAX_QUERIES ? left : MAX_QUERIES), a_.seq_lens[request_], rows_};
    return true;
  }

 private:
  const AttentionShape &a_;
  uint32_t group_, request_ = 0;
  int64_t rows_ = 0;
  uint64_t vectors_ = 0, tiles_ = 0, items_ = 0, first_ = 0;
};

// Whether rows and lengths fit each other and the block table; every thread comes to the same answer.
static inline bool check_requests(const AttentionShape &a, Team &team) {
  if (a.query_start[0] != 0 || static_cast<uint32_t>(a.query_start[a.num_requests]) > a.num_tokens) {
    team.fail(BZ_EINVAL, "%s: query_start spans [%d, %d), num_tokens is %u", a.op, a.query_start[0],
              a.query_start[a.num_requests], a.num_tokens);
    return false;
  }
  const int64_t most = int64_t{a.block_table_stride} * a.block_size;
  for (uint32_t r = 0; r < a.num_requests; r++) {
    const int64_t rows = int64_t{a.query_start[r + 1]} - a.query_start[r];
    if (rows < 0 || a.seq_lens[r] < rows || a.seq_lens[r] > most) {
      team.fail(BZ_EINVAL, "%s: request %u has %lld rows, seq_lens %d, and room for %lld in its block table", a.op, r,
                static_cast<long long>(rows), a.seq_lens[r], static_cast<long long>(most));
      return false;
    }
  }
  return true;
}

// Few items with several chunks each: their chunks are shared out, and merged after a barrier.
struct SharedPlan {
  uint64_t num_items = 0, num_parts = 0; // a part: one chunk of one item
  uint64_t first_part[MAX_SHARED_ITEMS + 1];
};

// False when sharing is not worth it or does not fit; every thread comes to the same answer.
static inline bool plan_shared(const AttentionShape &a, const Team &team, SharedPlan &plan) {
  if (team.n == 1) return false;
  const uint64_t limit = uint64_t{2} * team.n < MAX_SHARED_ITEMS ? uint64_t{2} * team.n : MAX_SHARED_ITEMS;
  ItemCursor cursor(a);
  Item item;
  for (; cursor.find(plan.num_items, item); plan.num_items++) {
    if (plan.num_items == limit) return false;
    plan.first_part[plan.num_items] = plan.num_parts;
    const Span chunks = chunks_of(a, item);
    plan.num_parts += static_cast<uint64_t>(chunks.end - chunks.begin);
  }
  plan.first_part[plan.num_items] = plan.num_parts;
  return plan.num_parts > plan.num_items && plan.num_parts * part_floats(a.value_dim) * 4 <= MAX_SHARED_BYTES &&
         plan.num_parts <= shared_parts(a, team.n);
}

template <class Products> static void attend_shared(Products &p, const SharedPlan &plan) {
  const AttentionShape &a = p.a;
  Team &team = p.team;
  const uint64_t row = padded_dim(a.value_dim);
  const auto part_at = [&](uint64_t n) {
    return partial_at(reinterpret_cast<float *>(team.scratch()), n, a.value_dim);
  };
  Item item;
  ItemCursor parts(a);
  uint64_t number = 0;
  for (uint64_t n = team.claim(); n < plan.num_parts; n = team.claim()) {
    while (plan.first_part[number + 1] <= n) number++;
    parts.find(number, item);
    p.begin_item(item);
    const int64_t chunk = chunks_of(a, item).begin + static_cast<int64_t>(n - plan.first_part[number]);
    attend_chunk(item, chunk, static_cast<const typename Products::Tile *>(nullptr), p, part_at(n));
  }
  team.barrier();
  ItemCursor items(a);
  for (uint64_t n = team.claim(); n < plan.num_items; n = team.claim()) {
    items.find(n, item);
    const Partial whole = part_at(plan.first_part[n]);
    for (uint32_t i = 0; i < item.count; i++) {
      for (uint64_t at = plan.first_part[n] + 1; at < plan.first_part[n + 1]; at++) {
        const Partial part = part_at(at);
        merge(whole.m[i], whole.l[i], whole.acc + i * row, part.m[i], part.l[i], part.acc + i * row, row);
      }
      finish(a, item, i, whole.m[i], whole.l[i], whole.acc + i * row);
    }
  }
}

template <class Products> static void attend(Products p) {
  SharedPlan plan;
  if (plan_shared(p.a, p.team, plan)) return attend_shared(p, plan);
  ItemCursor items(p.a);
  Item item, next;
  typename Products::Tile after; // a thread claims an item ahead, to prefetch it while it works on the one before
  for (bool found = items.find(p.team.claim(), item); found; item = next) {
    found = items.find(p.team.claim(), next);
    const bool has_after = found && find_first_tile(next, p, after);
    attend_item(item, has_after ? &after : nullptr, p);
  }
}

// Rows of padded tokens, behind those of the requests.
static inline void clear_padding(const AttentionShape &a, const Team &team) {
  const uint64_t first = static_cast<uint64_t>(a.query_start[a.num_requests]);
  const Range rows = split(a.num_tokens - first, team);
  for (uint64_t t = first + rows.begin; t < first + rows.end; t++)
    std::memset(row_of(a.out, t), 0, uint64_t{a.num_heads} * a.value_dim * 4);
}

} // namespace bz::BZ_LEVEL
