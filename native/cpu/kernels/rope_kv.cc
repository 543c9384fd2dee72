// bz_rope_kv. An item is one head of one token: its norm, its rotation, and its place in the cache.
#include <cmath>

#include "../kernels.h"
#include "kv_cache.h"

namespace bz::BZ_LEVEL {

static void normalize(float *x, const float *w, uint32_t d, float eps) {
  F sum = {};
  uint32_t i = 0;
  for (; i + W <= d; i += W) sum = fma(load(x + i), load(x + i), sum);
  if (i < d) {
    const F rest = load_first(x + i, d - i);
    sum = fma(rest, rest, sum);
  }
  const float scale = 1.0f / std::sqrt(sum_lanes(sum) / static_cast<float>(d) + eps);
  for (i = 0; i < d; i++) x[i] = x[i] * scale * w[i];
}

static void rotate(float *__restrict x, const float *__restrict cos_sin, uint32_t rot_dim) {
  const uint32_t half = rot_dim / 2;
  for (uint32_t i = 0; i < half; i++) {
    const float c = cos_sin[i], s = cos_sin[half + i], a = x[i], b = x[i + half];
    x[i] = a * c - b * s;
    x[i + half] = b * c + a * s;
  }
}

static void rotate_interleaved(float *__restrict x, const float *__restrict cos_sin, uint32_t rot_dim) {
  const uint32_t half = rot_dim / 2;
  for (uint32_t i = 0; i < half; i++) {
    const float c = cos_sin[i], s = cos_sin[half + i], a = x[2 * i], b = x[2 * i + 1];
    x[2 * i] = a * c - b * s;
    x[2 * i + 1] = b * c + a * s;
  }
}

// A key goes to as many lines as it has pairs of dimensions. They are asked for so many items before.
constexpr uint64_t LOOK_AHEAD = 8;

template <class Kv> static typename Kv::Element *key_group(const bz_rope_kv_args &a, uint64_t slot, uint32_t kv_head) {
  const uint64_t block = slot / a.block_size, offset = slot % a.block_size;
  return static_cast<typename Kv::Element *>(a.k_cache) +
         block_offset(block, kv_head, a.num_kv_heads, a.block_size, a.head_dim) +
         offset / GROUP_TOKENS * GROUP_TOKENS * a.head_dim;
}

static void expect_write(const std::byte *line) {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" ::"m"(*line)); // g++ emits it for newer processors only; older ones do nothing
#else
  __builtin_prefetch(line, 1);
#endif
}

template <class Kv> static void expect_key(const bz_rope_kv_args &a, uint64_t slot, uint32_t kv_head) {
  const auto *group = reinterpret_cast<const std::byte *>(key_group<Kv>(a, slot, kv_head));
  constexpr uint64_t group_bytes = GROUP_TOKENS * sizeof(typename Kv::Element); // of a dimension
  for (uint64_t i = 0; i < a.head_dim * group_bytes; i += 64) expect_write(group + i);
}

template <class Kv> static void store_head(const bz_rope_kv_args &a, uint64_t slot, uint32_t kv_head, const float *k,
                                           const float *v) {
  if (k != nullptr) {
    Kv::store_key(key_group<Kv>(a, slot, kv_head), slot % GROUP_TOKENS, k, a.head_dim);
  } else {
    const uint64_t block = slot / a.block_size, offset = slot % a.block_size, row = padded_dim(a.head_dim);
    auto *values = static_cast<typename Kv::Element *>(a.v_cache) +
                   block_offset(block, kv_head, a.num_kv_heads, a.block_size, row);
    Kv::store_value(values + offset / GROUP_TOKENS * GROUP_TOKENS * row, offset % GROUP_TOKENS, row, v, a.head_dim);
  }
}

static bool fits(const bz_rope_kv_args &a, uint64_t token) {
  const int64_t num_slots = int64_t{a.num_blocks} * a.block_size;
  if (a.cos_sin != nullptr && static_cast<uint32_t>(a.positions[token]) >= a.num_positions) return false;
  return a.k_cache == nullptr || (a.slots[token] >= -1 && a.slots[token] < num_slots);
}

// Without a status for each row one that does not fit fails the op, before anything is written.
static bool all_fit(const bz_rope_kv_args &a, Team &team) {
  for (uint32_t t = 0; t < a.num_tokens; t++) {
    if (fits(a, t)) continue;
    if (a.cos_sin != nullptr && static_cast<uint32_t>(a.positions[t]) >= a.num_positions)
      team.fail(BZ_EINVAL, "rope_kv: positions[%u] is %d, the table has %u", t, a.positions[t], a.num_positions);
    else
      team.fail(BZ_EINVAL, "rope_kv: slots[%u] is %d, the cache has %lld", t, a.slots[t],
                static_cast<long long>(a.num_blocks) * a.block_size);
    return false;
  }
  return true;
}

// Heads of tokens in order, without a division each.
struct HeadCursor {
  uint64_t token;
  uint32_t head, heads;

  HeadCursor(uint64_t item, uint32_t heads)
      : token(item / heads), head(static_cast<uint32_t>(item % heads)), heads(heads) {}

  void advance() {
    if (++head < heads) return;
    head = 0;
    token++;
  }
};

void rope_kv(const bz_rope_kv_args &a, Team &team) {
  if (a.row_status == nullptr && !all_fit(a, team)) return; // every thread sees the same
  const uint32_t h = a.num_heads, k = a.num_kv_heads, d = a.head_dim, heads = h + 2 * k;
  const auto store = a.kv_dtype == BZ_F32 ? store_head<KvF32> : store_head<KvBf16>;
  const auto expect = a.kv_dtype == BZ_F32 ? expect_key<KvF32> : expect_key<KvBf16>;
  const auto turn = a.interleaved != 0 ? rotate_interleaved : rotate;
  const Range items = split(uint64_t{a.num_tokens} * heads, team);
  HeadCursor at(items.begin, heads), ahead(items.begin, heads);
  const auto look_ahead = [&](uint64_t item) {
    if (item < items.end && ahead.head >= h && ahead.head < h + k && a.k_cache != nullptr && a.slots[ahead.token] >= 0)
      expect(a, static_cast<uint64_t>(a.slots[ahead.token]), ahead.head - h);
    ahead.advance();
  };
  for (uint64_t item = items.begin; item < items.begin + LOOK_AHEAD; item++) look_ahead(item);
  for (uint64_t item = items.begin; item < items.end; item++, at.advance()) {
    look_ahead(item + LOOK_AHEAD);
    if (a.row_status != nullptr) {
      const bool is_right = fits(a, at.token);
      if (at.head == 0) a.row_status[at.token] = is_right ? BZ_OK : BZ_EINVAL;
      if (!is_right) continue;
    }
    float *x = row_of(a.qkv, at.token) + uint64_t{at.head} * d;
    const bool is_value = at.head >= h + k;
    const float *w = at.head < h ? a.q_norm : a.k_norm;
    if (!is_value && w != nullptr) normalize(x, w, d, a.eps);
    if (!is_value && a.cos_sin != nullptr)
      turn(x, a.cos_sin + static_cast<uint64_t>(a.positions[at.token]) * a.rot_dim, a.rot_dim);
    if (at.head < h || a.k_cache == nullptr || a.slots[at.token] < 0) continue;
    const uint32_t kv_head = is_value ? at.head - h - k : at.head - h;
    store(a, static_cast<uint64_t>(a.slots[at.token]), kv_head, is_value ? nullptr : x, is_value ? x : nullptr);
  }
}

} // namespace bz::BZ_LEVEL
