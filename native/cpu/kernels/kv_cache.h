// Where a key and a value lie in the cache.
//
// Keys of a block and KV head: groups of 16 tokens. A register holds one dimension (float32) or one pair of dimensions
// (bfloat16) of 16 tokens, so a query's scores need no sum across lanes; the pairs are also what the processor's matrix
// tiles take. Values of a block and KV head: rows of Dv values, D rounded up to whole registers of the widest level;
// bfloat16 rows of two tokens are interleaved, for the same reason.
//   K cache  [B][K][S / 16][D][16] in float32, [B][K][S / 16][D / 2][16][2] in bfloat16
//   V cache  [B][K][S][Dv]         in float32, [B][K][S / 2][Dv][2]         in bfloat16
#pragma once
#include "../kv_layout.h"
#include "vec.h"

namespace bz::BZ_LEVEL {

constexpr uint32_t GROUP_TOKENS = 16; // the block size is a multiple of it

// The first or the second of pairs of bfloat16. CROWDED: no register is free for the mask, and it stays in memory,
// where the compiler does not see that it is always the same.
template <bool CROWDED> BZ_INLINE F one_of_pairs(U both, bool is_odd) {
  constexpr uint32_t m = 0xffff0000u;
  if (!is_odd) return (F)(both << 16);
  if constexpr (!CROWDED) return (F)(both & m);
  alignas(64) static constexpr uint32_t masks[16] = {m, m, m, m, m, m, m, m, m, m, m, m, m, m, m, m};
  const uint32_t *at = masks;
  asm("" : "+r"(at));
  return (F)(both & load_bits(at));
}

struct KvF32 {
  typedef float Element;
  static constexpr uint32_t KEY_STEP = 1; // elements from a key to the next in its group
  // Dimension `pair`, even, or the next one of W keys, the first of which is at `key`.
  template <bool> BZ_INLINE F load_key(const float *key, uint64_t pair, bool is_odd) {
    return load(key + (pair + is_odd) * GROUP_TOKENS);
  }
  static constexpr uint32_t VALUE_STEP = 1; // elements from a dimension to the next of one token
  // W dimensions of an even token, the first of which is at `pair`, or of the token after it.
  template <bool> BZ_INLINE F load_value(const float *pair, uint64_t row, bool is_odd) {
    return load(pair + (is_odd ? row : 0));
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
  static constexpr uint32_t KEY_STEP = 2;
  template <bool CROWDED> BZ_INLINE F load_key(const uint16_t *key, uint64_t pair, bool is_odd) {
    return one_of_pairs<CROWDED>(load_bits(key + pair * GROUP_TOKENS), is_odd);
  }
  static constexpr uint32_t VALUE_STEP = 2;
  template <bool CROWDED> BZ_INLINE F load_value(const uint16_t *pair, uint64_t, bool is_odd) {
    return one_of_pairs<CROWDED>(load_bits(pair), is_odd);
  }
  static void store_key(uint16_t *group, uint32_t token, const float *k, uint32_t d) {
    uint32_t i = 0;
#if defined(__AVX512BF16__)
    const __m512i lines = _mm512_slli_epi32((__m512i)lane_numbers(), 4); // a pair of dimensions is 16 words
    for (; i + 32 <= d; i += 32) {
      const __m512bh pairs = _mm512_cvtne2ps_pbh(load(k + i + 16), load(k + i));
      _mm512_i32scatter_epi32(group + (i / 2 * GROUP_TOKENS + token) * 2, lines, (__m512i)pairs, 4);
    }
#endif
    for (; i < d; i += 2) {
      const uint32_t both = f32_to_bf16(k[i]) | static_cast<uint32_t>(f32_to_bf16(k[i + 1])) << 16;
      std::memcpy(group + (i / 2 * GROUP_TOKENS + token) * 2, &both, 4);
    }
  }
  static void store_value(uint16_t *group, uint32_t token, uint64_t row, const float *v, uint32_t d) {
    uint16_t *to = group + token / 2 * row * 2 + token % 2;
    uint32_t i = 0;
#if defined(__AVX512BF16__)
    // Another thread may store the pair's other token at the same time: only this one's words are written.
    for (; i + 16 <= d; i += 16) {
      const __m512i words = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(load(v + i)));
      _mm512_mask_storeu_epi16(to + 2 * i, 0x55555555, words);
    }
#endif
    for (; i < d; i++) to[2 * i] = f32_to_bf16(v[i]);
  }
};

// Elements in front of a block and KV head; the same for keys and values but for the row's length.
static inline uint64_t block_offset(uint64_t block, uint32_t kv_head, uint32_t num_kv_heads, uint32_t block_size,
                                    uint64_t row) {
  return (block * num_kv_heads + kv_head) * block_size * row;
}

} // namespace bz::BZ_LEVEL
