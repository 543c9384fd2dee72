// bz_attention: online softmax over the paged cache.
//
// Work    an item is (request, KV head, up to MAX_QUERIES query vectors); a query vector is one head of one row, and
//         an item's vectors read the same keys. With few items and long contexts, threads share an item's chunks.
// Order   keys are taken in tiles of 64 and chunks of CHUNK_KEYS, both counted from position 0. A chunk gives a partial
//         result (largest score m, sum l, values acc), and a vector's partials are merged in order, by one thread or by
//         many: a row's result depends on its own keys alone, not on threads, batch, or how the prompt was cut.
#include <cmath>

#include "../attention_plan.h"
#include "../kernels.h"
#include "attention_amx.h"

namespace bz::BZ_LEVEL {

typedef const bz_attention_args Args;

// What softmax has seen so far of each query vector of an item; acc rows have padded_dim(D) values.
struct Partial {
  float *m, *l, *acc;
};

struct Item {
  uint32_t request, kv_head;
  uint32_t first, count; // query vectors [first, first + count) of the request: head index % G of row index / G
  int64_t seq_len, rows;
};

struct Span {
  int64_t begin, end;
};

// The keys that query vector `index` of the item sees.
static Span visible(Args &a, const Item &item, uint32_t index) {
  if (a.causal == 0) return {0, item.seq_len};
  const uint32_t group = a.num_heads / a.num_kv_heads;
  const int64_t end = item.seq_len - item.rows + int64_t{index / group} + 1;
  return {a.window > 0 && end > int64_t{a.window} ? end - int64_t{a.window} : 0, end};
}

static uint64_t query_offset(Args &a, const Item &item, uint32_t index, uint64_t stride) {
  const uint32_t group = a.num_heads / a.num_kv_heads;
  const uint64_t row = static_cast<uint64_t>(a.query_start[item.request]) + index / group;
  return row * stride + (uint64_t{item.kv_head} * group + index % group) * a.head_dim;
}

// One thread at work. `matrix` is NULL where the products are done in registers.
struct Worker {
  Team &team;
  MatrixScratch *matrix;
  float *q; // the item's query vectors, QUERY_STRIDE apart
};

// The cache rows of one tile. Groups past `end` repeat the first one: they are computed and masked.
template <class Kv> struct Tile {
  const typename Kv::Element *keys[TILE_GROUPS], *values[TILE_GROUPS];
};

template <class Kv>
static bool find_tile(Args &a, const Item &item, int64_t tile_begin, Span span, Team &team, Tile<Kv> &tile) {
  const int32_t *table = a.block_table + uint64_t{item.request} * a.block_table_stride;
  const uint64_t row = padded_dim(a.head_dim);
  uint32_t found = TILE_GROUPS;
  for (uint32_t g = 0; g < TILE_GROUPS; g++) {
    const int64_t key = tile_begin + int64_t{g} * GROUP_TOKENS;
    if (key + int64_t{GROUP_TOKENS} <= span.begin || key >= span.end) continue;
    const uint64_t at = static_cast<uint64_t>(key), index = at / a.block_size, offset = at % a.block_size;
    const int32_t block = table[index];
    if (static_cast<uint32_t>(block) >= a.num_blocks) {
      team.fail(BZ_EINVAL, "attention: block_table[%u, %llu] is %d, the cache has %u blocks", item.request,
                static_cast<unsigned long long>(index), block, a.num_blocks);
      return false;
    }
    const uint64_t b = static_cast<uint32_t>(block);
    tile.keys[g] = static_cast<const typename Kv::Element *>(a.k_cache) +
                   block_offset(b, item.kv_head, a.num_kv_heads, a.block_size, a.head_dim) + offset * a.head_dim;
    tile.values[g] = static_cast<const typename Kv::Element *>(a.v_cache) +
                     block_offset(b, item.kv_head, a.num_kv_heads, a.block_size, row) + offset * row;
    if (found == TILE_GROUPS) found = g;
  }
  for (uint32_t g = 0; g < TILE_GROUPS; g++) {
    const int64_t key = tile_begin + int64_t{g} * GROUP_TOKENS;
    if (key + int64_t{GROUP_TOKENS} <= span.begin || key >= span.end) {
      tile.keys[g] = tile.keys[found];
      tile.values[g] = tile.values[found];
    }
  }
  return true;
}

// Turns one vector's scores of a tile into weights, and brings m, l and acc up to date. [begin, end): its keys in the
// tile.
static void soften(Args &a, float *scores, int32_t begin, int32_t end, float &m, float &l, float *acc, uint64_t row) {
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
static void soften_tile(Args &a, const Item &item, int64_t tile_begin, uint32_t from, uint32_t to, uint32_t base,
                        float *scores, const Partial &out) {
  const uint64_t row = padded_dim(a.head_dim);
  for (uint32_t i = from; i < to; i++) {
    const Span sees = visible(a, item, item.first + i);
    const int64_t begin = sees.begin - tile_begin, end = sees.end - tile_begin;
    soften(a, scores + (i - base) * TILE_KEYS, begin > 0 ? static_cast<int32_t>(begin) : 0,
           end < int64_t{TILE_KEYS} ? static_cast<int32_t>(end) : static_cast<int32_t>(TILE_KEYS), out.m[i], out.l[i],
           out.acc + i * row, row);
  }
}

// One tile for the item's vectors [from, to), all of which see some of its keys. `next`: the tile that comes after it,
// where that is worth asking memory for, or NULL.
template <class Kv> static void attend_tile(Args &a, const Item &item, int64_t tile_begin, uint32_t from, uint32_t to,
                                            const Tile<Kv> *next, Worker &worker, const Partial &out) {
  alignas(64) float scores[MAX_QUERIES * TILE_KEYS];
  const uint64_t row = padded_dim(a.head_dim);
  const Span span = {visible(a, item, item.first + from).begin, visible(a, item, item.first + to - 1).end};
  Tile<Kv> tile;
  if (!find_tile<Kv>(a, item, tile_begin, span, worker.team, tile)) return;
  // Only slots that hold tokens of the request: what lies in the others may not even be a number.
  const uint32_t begin = span.begin > tile_begin ? static_cast<uint32_t>(span.begin - tile_begin) : 0;
  const int64_t left = span.end - tile_begin;
  const uint32_t end = left < int64_t{TILE_KEYS} ? static_cast<uint32_t>(left) : TILE_KEYS;
#if defined(__AMX_BF16__)
  if constexpr (sizeof(typename Kv::Element) == 2) {
    if (MatrixScratch *m = worker.matrix; m != nullptr) {
      const uint32_t base = from / TILE_ROWS * TILE_ROWS, blocks = (to - 1 - base) / TILE_ROWS + 1;
      score_matrix(*m, base, blocks, tile.keys, a.head_dim, scores);
      soften_tile(a, item, tile_begin, from, to, base, scores, out);
      split_weights(scores, from - base, to - base, blocks * TILE_ROWS, *m);
      gather_values(tile.values, begin, end, row, *m);
      value_matrix(*m, blocks, row, out.acc + base * row);
      return;
    }
  }
#endif
  for_query_groups(to - from, [&](uint32_t at, auto n) {
    const float *q = worker.q + (from + at) * QUERY_STRIDE;
    float *to_scores = scores + at * TILE_KEYS;
    if (next != nullptr && at == 0)
      score_tile<Kv, decltype(n)::value, true>(q, tile.keys, next->keys, a.head_dim, to_scores);
    else score_tile<Kv, decltype(n)::value, false>(q, tile.keys, nullptr, a.head_dim, to_scores);
  });
  soften_tile(a, item, tile_begin, from, to, from, scores, out);
  for_query_groups(to - from, [&](uint32_t at, auto n) {
    float *acc = out.acc + (from + at) * row;
    const float *p = scores + at * TILE_KEYS;
    if (next != nullptr && at == 0)
      value_tile<Kv, decltype(n)::value, true>(p, tile.values, next->values, begin, end, row, acc);
    else value_tile<Kv, decltype(n)::value, false>(p, tile.values, nullptr, begin, end, row, acc);
  });
}

// What the products need of an item before its first tile.
static void begin_item(Args &a, const Item &item, Worker &worker) {
  const float *q[MAX_QUERIES];
  for (uint32_t i = 0; i < item.count; i++) q[i] = floats(a.q) + query_offset(a, item, item.first + i, a.q.stride);
#if defined(__AMX_BF16__)
  if (worker.matrix != nullptr) return split_queries(q, item.count, a.head_dim, *worker.matrix);
#endif
  for (uint32_t i = 0; i < item.count; i++) std::memcpy(worker.q + i * QUERY_STRIDE, q[i], a.head_dim * 4);
}

// The first tile that an item reads, where it is worth asking memory for early: a lone row passes once over its keys,
// and memory sets the pace. With more rows it is the products.
template <class Kv> static bool find_first_tile(Args &a, const Item &item, Worker &worker, Tile<Kv> &tile) {
  if (item.rows != 1) return false;
  const Span sees = visible(a, item, item.first);
  return find_tile<Kv>(a, item, sees.begin / TILE_KEYS * TILE_KEYS, sees, worker.team, tile);
}

// The partial result of every vector over the keys of one chunk. `after`: the tile that is read after them, or NULL.
template <class Kv>
static void attend_chunk(Args &a, const Item &item, int64_t chunk, const Tile<Kv> *after, Worker &worker,
                         const Partial &out) {
  const uint64_t row = padded_dim(a.head_dim);
  for (uint32_t i = 0; i < item.count; i++) out.m[i] = -INFINITY, out.l[i] = 0;
  const uint32_t rows = worker.matrix == nullptr ? item.count : (item.count + 15) / 16 * 16; // whole tiles
  std::memset(out.acc, 0, rows * row * 4);
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
    Tile<Kv> next;
    const bool has_next =
      item.rows == 1 && rest.begin < rest.end && find_tile<Kv>(a, item, rest.begin, rest, worker.team, next);
    attend_tile<Kv>(a, item, tile, from, to, has_next ? &next : after, worker, out);
  }
}

static void merge(float &m, float &l, float *acc, float part_m, float part_l, const float *part_acc, uint64_t row) {
  if (part_m == -INFINITY) return;
  const float top = part_m > m ? part_m : m;
  const F shrinks = exp(set(m - top)), grows = exp(set(part_m - top));
  l = l * shrinks[0] + part_l * grows[0];
  for (uint64_t i = 0; i < row; i += W) store(acc + i, fma(load(acc + i), shrinks, load(part_acc + i) * grows));
  m = top;
}

static void finish(Args &a, const Item &item, uint32_t i, float m, float l, const float *acc) {
  const uint32_t group = a.num_heads / a.num_kv_heads, index = item.first + i;
  float shrink = 1;
  if (a.sinks != nullptr) {
    const float sink = a.sinks[item.kv_head * group + index % group], top = sink > m ? sink : m;
    shrink = exp(set(m - top))[0];
    l = l * shrink + exp(set(sink - top))[0];
  }
  const float scale = l > 0 ? shrink / l : 0;
  float *out = floats(a.out) + query_offset(a, item, index, a.out.stride);
  uint32_t d = 0;
  for (; d + W <= a.head_dim; d += W) store(out + d, load(acc + d) * scale);
  if (d < a.head_dim) store_first(out + d, a.head_dim - d, load(acc + d) * scale);
}

// The item's chunks that any of its vectors sees.
static Span chunks_of(Args &a, const Item &item) {
  const Span lowest = visible(a, item, item.first), highest = visible(a, item, item.first + item.count - 1);
  return {lowest.begin / CHUNK_KEYS, (highest.end + CHUNK_KEYS - 1) / CHUNK_KEYS};
}

// All chunks of an item, one after the other. `after`: the first tile of the thread's next item, or NULL.
template <class Kv> static void attend_item(Args &a, const Item &item, const Tile<Kv> *after, Worker &worker) {
  alignas(64) float memory[2][MAX_QUERIES * MAX_ROW];
  float m[2][MAX_QUERIES], l[2][MAX_QUERIES];
  const Partial whole = {m[0], l[0], memory[0]}, part = {m[1], l[1], memory[1]};
  const uint64_t row = padded_dim(a.head_dim);
  const Span chunks = chunks_of(a, item);
  begin_item(a, item, worker);
  attend_chunk<Kv>(a, item, chunks.begin, after, worker, whole);
  for (int64_t chunk = chunks.begin + 1; chunk < chunks.end; chunk++) {
    attend_chunk<Kv>(a, item, chunk, after, worker, part);
    for (uint32_t i = 0; i < item.count; i++)
      merge(whole.m[i], whole.l[i], whole.acc + i * row, part.m[i], part.l[i], part.acc + i * row, row);
  }
  for (uint32_t i = 0; i < item.count; i++) finish(a, item, i, whole.m[i], whole.l[i], whole.acc + i * row);
}

// Walks the items in order; claims only rise, so it never goes back within a phase.
class ItemCursor {
 public:
  explicit ItemCursor(Args &a) : a_(a), group_(a.num_heads / a.num_kv_heads) {}

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
  Args &a_;
  uint32_t group_, request_ = 0;
  int64_t rows_ = 0;
  uint64_t vectors_ = 0, tiles_ = 0, items_ = 0, first_ = 0;
};

static bool check(Args &a, Team &team) {
  if (a.query_start[0] != 0 || static_cast<uint32_t>(a.query_start[a.num_requests]) > a.num_tokens) {
    team.fail(BZ_EINVAL, "attention: query_start spans [%d, %d), num_tokens is %u", a.query_start[0],
              a.query_start[a.num_requests], a.num_tokens);
    return false;
  }
  const int64_t most = int64_t{a.block_table_stride} * a.block_size;
  for (uint32_t r = 0; r < a.num_requests; r++) {
    const int64_t rows = int64_t{a.query_start[r + 1]} - a.query_start[r];
    if (rows < 0 || a.seq_lens[r] < rows || a.seq_lens[r] > most) {
      team.fail(BZ_EINVAL, "attention: request %u has %lld rows, seq_lens %d, and room for %lld in its block table", r,
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
static bool plan_shared(Args &a, const Team &team, SharedPlan &plan) {
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
  return plan.num_parts > plan.num_items && plan.num_parts * part_floats(a.head_dim) * 4 <= MAX_SHARED_BYTES &&
         plan.num_parts <= shared_parts(a, team.n);
}

template <class Kv> static void attend_shared(Args &a, Worker &worker, const SharedPlan &plan) {
  Team &team = worker.team;
  const uint64_t row = padded_dim(a.head_dim);
  const auto part_at = [&](uint64_t n) {
    float *at = reinterpret_cast<float *>(team.scratch()) + n * part_floats(a.head_dim);
    return Partial{at, at + MAX_QUERIES, at + 2 * MAX_QUERIES};
  };
  Item item;
  ItemCursor parts(a);
  uint64_t number = 0;
  for (uint64_t n = team.claim(); n < plan.num_parts; n = team.claim()) {
    while (plan.first_part[number + 1] <= n) number++;
    parts.find(number, item);
    begin_item(a, item, worker);
    const int64_t chunk = chunks_of(a, item).begin + static_cast<int64_t>(n - plan.first_part[number]);
    attend_chunk<Kv>(a, item, chunk, static_cast<const Tile<Kv> *>(nullptr), worker, part_at(n));
  }
  team.barrier();
  ItemCursor items(a);
  for (uint64_t n = team.claim(); n < plan.num_items; n = team.claim()) {
    items.find(n, item);
    const Partial whole = part_at(plan.first_part[n]);
    for (uint32_t i = 0; i < item.count; i++) {
      for (uint64_t p = plan.first_part[n] + 1; p < plan.first_part[n + 1]; p++) {
        const Partial part = part_at(p);
        merge(whole.m[i], whole.l[i], whole.acc + i * row, part.m[i], part.l[i], part.acc + i * row, row);
      }
      finish(a, item, i, whole.m[i], whole.l[i], whole.acc + i * row);
    }
  }
}

template <class Kv> static void attend(Args &a, Worker worker) {
  SharedPlan plan;
  if (plan_shared(a, worker.team, plan)) return attend_shared<Kv>(a, worker, plan);
  ItemCursor items(a);
  Item item, next;
  Tile<Kv> after; // a thread claims an item ahead, to ask memory for it while it works on the one before
  for (bool found = items.find(worker.team.claim(), item); found; item = next) {
    found = items.find(worker.team.claim(), next);
    const bool has_after = found && find_first_tile<Kv>(a, next, worker, after);
    attend_item<Kv>(a, item, has_after ? &after : nullptr, worker);
  }
}

// Rows of padded tokens, behind those of the requests.
static void clear_padding(Args &a, const Team &team) {
  const uint64_t first = static_cast<uint64_t>(a.query_start[a.num_requests]);
  const Range rows = split(a.num_tokens - first, team);
  for (uint64_t t = first + rows.begin; t < first + rows.end; t++)
    std::memset(row_of(a.out, t), 0, uint64_t{a.num_heads} * a.head_dim * 4);
}

void attention(Args &a, Team &team) {
  if (!check(a, team)) return; // every thread sees the same
  clear_padding(a, team);
  alignas(64) float q[MAX_QUERIES * QUERY_STRIDE];
  if (a.kv_dtype == BZ_F32) return attend<KvF32>(a, {team, nullptr, q});
#if defined(__AMX_BF16__)
  if (a.head_dim % TILE_DEPTH == 0) { // tiles of whole depth
    MatrixScratch matrix;
    const TileConfig config(TILE_ROWS);
    return attend<KvBf16>(a, {team, &matrix, q});
  }
#endif
  attend<KvBf16>(a, {team, nullptr, q});
}

} // namespace bz::BZ_LEVEL
