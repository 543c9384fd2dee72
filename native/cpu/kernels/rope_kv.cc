// bz_rope_kv. An item is one head of one token: its norm, its rotation, and its place in the cache.
#include "../kernels.h"
#include "kv_cache.h"
#include "rotary.h"

namespace bz::BZ_LEVEL {

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

void rope_kv(const bz_rope_kv_args &a, Team &team) {
  const TokenPlaces places = {"rope_kv", a.cos_sin == nullptr ? nullptr : a.positions,
                              a.k_cache == nullptr ? nullptr : a.slots, a.num_positions,
                              int64_t{a.num_blocks} * a.block_size};
  if (a.row_status == nullptr && !all_fit(places, a.num_tokens, team)) return; // every thread sees the same
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
      const bool is_right = fits(places, at.token);
      if (at.head == 0) a.row_status[at.token] = is_right ? BZ_OK : BZ_EINVAL;
      if (!is_right) continue;
    }
    float *x = row_of(a.qkv, at.token) + uint64_t{at.head} * d;
    const bool is_value = at.head >= h + k;
    const float *w = at.head < h ? a.q_norm : a.k_norm;
    if (!is_value && w != nullptr) normalize(x, w, d, a.eps, x);
    if (!is_value && a.cos_sin != nullptr)
      turn(x, a.cos_sin + static_cast<uint64_t>(a.positions[at.token]) * a.rot_dim, a.rot_dim);
    if (at.head < h || a.k_cache == nullptr || a.slots[at.token] < 0) continue;
    const uint32_t kv_head = is_value ? at.head - h - k : at.head - h;
    store(a, static_cast<uint64_t>(a.slots[at.token]), kv_head, is_value ? nullptr : x, is_value ? x : nullptr);
  }
}

} // namespace bz::BZ_LEVEL
