// Where a key and a value lie in the cache.
//
// Keys of a block and KV head: groups of 16 tokens, each [D/2][16][2]: a vector register holds one dimension pair (bfloat16) or
// one dimension (float32) of 16 tokens, so a query's scores need no sum across lanes.
// Values of a block and KV head: [token][Dv], D rounded up to whole vectors of the widest level.
//   K cache  [B][K][S / 16][D][16] for float32, [B][K][S / 16][D / 2][16][2] for bfloat16
//   V cache  [B][K][S][Dv]
#pragma once
#include "vec.h"

namespace bz::BZ_LEVEL {

constexpr uint32_t GROUP_TOKENS = 16; // the block size is a multiple of it

static inline uint64_t padded_dim(uint32_t d) { return (d + 15) / 16 * 16; }

struct KvF32 {
  typedef float Element;
  BZ_INLINE void load_pair(const float *group, uint32_t pair, uint32_t lane, F &even, F &odd) {
    even = load(group + 2 * pair * GROUP_TOKENS + lane);
    odd = load(group + (2 * pair + 1) * GROUP_TOKENS + lane);
  }
  BZ_INLINE F load_value(const float *v) { return load(v); }
  static void store_key(float *group, uint32_t token, const float *k, uint32_t d) {
    for (uint32_t i = 0; i < d; i++) group[i * GROUP_TOKENS + token] = k[i];
  }
  static void store_value(float *v, const float *x, uint32_t d) { std::memcpy(v, x, d * 4); }
};

struct KvBf16 {
  typedef uint16_t Element;
  BZ_INLINE void load_pair(const uint16_t *group, uint32_t pair, uint32_t lane, F &even, F &odd) {
    const U both = load_bits(group + (pair * GROUP_TOKENS + lane) * 2);
    even = (F)(both << 16);
    odd = (F)(both & 0xffff0000u);
  }
  BZ_INLINE F load_value(const uint16_t *v) { return load_bf16(v); }
  static void store_key(uint16_t *group, uint32_t token, const float *k, uint32_t d) {
    for (uint32_t i = 0; i < d; i += 2) {
      const uint32_t both = f32_to_bf16(k[i]) | static_cast<uint32_t>(f32_to_bf16(k[i + 1])) << 16;
      std::memcpy(group + (i / 2 * GROUP_TOKENS + token) * 2, &both, 4);
    }
  }
  static void store_value(uint16_t *v, const float *x, uint32_t d) {
    for (uint32_t i = 0; i < d; i++) v[i] = f32_to_bf16(x[i]);
  }
};

// Elements in front of a block and KV head; the same for keys and values but for the row's length.
static inline uint64_t block_offset(uint64_t block, uint32_t kv_head, uint32_t num_kv_heads, uint32_t block_size,
                                    uint64_t row) {
  return (block * num_kv_heads + kv_head) * block_size * row;
}

} // namespace bz::BZ_LEVEL
