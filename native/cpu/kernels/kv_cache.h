// Where a key and a value lie in the cache.
//
// Keys of a block and KV head: groups of 16 tokens. A register holds one dimension (float32) or one pair of dimensions
// (bfloat16) of 16 tokens, so a query's scores need no sum across lanes; the pairs are also what the processor's matrix
// tiles take.
// Values of a block and KV head: rows of Dv values, D rounded up to whole registers of the widest level; bfloat16 rows of
// two tokens are interleaved, for the same reason.
//   K cache  [B][K][S / 16][D][16] in float32, [B][K][S / 16][D / 2][16][2] in bfloat16
//   V cache  [B][K][S][Dv]         in float32, [B][K][S / 2][Dv][2]         in bfloat16
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
  // W dimensions from `column` on of one token, or of an even token and the next.
  BZ_INLINE F load_value(const float *group, uint32_t token, uint64_t row, uint64_t column) {
    return load(group + token * row + column);
  }
  BZ_INLINE void load_values(const float *group, uint32_t token, uint64_t row, uint64_t column, F &even, F &odd) {
    even = load(group + token * row + column);
    odd = load(group + (token + 1) * row + column);
  }
  static void store_key(float *group, uint32_t token, const float *k, uint32_t d) {
    for (uint32_t i = 0; i < d; i++) group[i * GROUP_TOKENS + token] = k[i];
  }
  static void store_value(float *group, uint32_t token, uint64_t row, const float *v, uint32_t d) {
    std::memcpy(group + token * row, v, d * 4);
  }
};

struct KvBf16 {
  typedef uint16_t Element;
  BZ_INLINE void load_pair(const uint16_t *group, uint32_t pair, uint32_t lane, F &even, F &odd) {
    const U both = load_bits(group + (pair * GROUP_TOKENS + lane) * 2);
    even = (F)(both << 16);
    odd = (F)(both & 0xffff0000u);
  }
  BZ_INLINE F load_value(const uint16_t *group, uint32_t token, uint64_t row, uint64_t column) {
    const U both = load_bits(group + (token / 2 * row + column) * 2);
    return token % 2 == 0 ? (F)(both << 16) : (F)(both & 0xffff0000u);
  }
  BZ_INLINE void load_values(const uint16_t *group, uint32_t token, uint64_t row, uint64_t column, F &even, F &odd) {
    const U both = load_bits(group + (token / 2 * row + column) * 2);
    even = (F)(both << 16);
    odd = (F)(both & 0xffff0000u);
  }
  static void store_key(uint16_t *group, uint32_t token, const float *k, uint32_t d) {
    for (uint32_t i = 0; i < d; i += 2) {
      const uint32_t both = f32_to_bf16(k[i]) | static_cast<uint32_t>(f32_to_bf16(k[i + 1])) << 16;
      std::memcpy(group + (i / 2 * GROUP_TOKENS + token) * 2, &both, 4);
    }
  }
  static void store_value(uint16_t *group, uint32_t token, uint64_t row, const float *v, uint32_t d) {
    uint16_t *to = group + token / 2 * row * 2 + token % 2;
    for (uint32_t i = 0; i < d; i++) to[2 * i] = f32_to_bf16(v[i]);
  }
};

// Elements in front of a block and KV head; the same for keys and values but for the row's length.
static inline uint64_t block_offset(uint64_t block, uint32_t kv_head, uint32_t num_kv_heads, uint32_t block_size,
                                    uint64_t row) {
  return (block * num_kv_heads + kv_head) * block_size * row;
}

} // namespace bz::BZ_LEVEL
