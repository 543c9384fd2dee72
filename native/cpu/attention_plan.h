// Sizes that attention's kernels and the code that gives them scratch memory agree on.
#pragma once
#include <cstdint>

#include "../include/baozi.h"

namespace bz {

constexpr uint32_t MAX_QUERIES = 32;       // query vectors an item has at most
constexpr uint32_t MAX_ROW = 256;          // the largest head size
constexpr uint32_t CHUNK_KEYS = 512;       // keys whose partial result is merged as one
constexpr uint32_t MAX_SHARED_ITEMS = 256; // items whose chunks are shared by threads
constexpr uint64_t MAX_SHARED_BYTES = uint64_t{64} << 20;

// One partial result: m and l of each query vector, then the values.
static inline uint64_t part_floats(uint32_t head_dim) {
  return MAX_QUERIES * (2 + (uint64_t{head_dim} + 15) / 16 * 16);
}

// Partial results there is room for when the chunks of few items are shared by n threads. What the args point at is not
// known when scratch is reserved: the block table's width bounds the context.
static inline uint64_t shared_parts(const bz_attention_args &a, uint32_t n) {
  if (n == 1) return 0;
  const uint64_t tiles = (uint64_t{a.num_tokens} * (a.num_heads / a.num_kv_heads) + MAX_QUERIES - 1) / MAX_QUERIES;
  const uint64_t most = (tiles + a.num_requests) * a.num_kv_heads, limit = uint64_t{2} * n;
  const uint64_t chunks = (uint64_t{a.block_table_stride} * a.block_size + CHUNK_KEYS - 1) / CHUNK_KEYS;
  const uint64_t parts = (most < limit ? most : limit) * chunks;
  const uint64_t room = MAX_SHARED_BYTES / (part_floats(a.head_dim) * 4);
  return parts < room ? parts : room;
}

static inline uint64_t attention_scratch_bytes(const bz_attention_args &a, uint32_t n) {
  return shared_parts(a, n) * part_floats(a.head_dim) * 4;
}

} // namespace bz
