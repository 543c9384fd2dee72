// Sizes that attention's kernels and the code that gives them scratch memory agree on.
#pragma once
#include <cstdint>

#include "../include/baozi.h"
#include "kv_layout.h"

namespace bz {

constexpr uint32_t MAX_QUERIES = 32;       // query vectors an item has at most
constexpr uint32_t MAX_ROW = 256;          // the largest head size of bz_attention
constexpr uint32_t CHUNK_KEYS = 512;       // keys whose partial result is merged as one
constexpr uint32_t MAX_SHARED_ITEMS = 256; // items whose chunks are shared by threads
constexpr uint64_t MAX_SHARED_BYTES = uint64_t{64} << 20;

// What the kinds of attention have in common: query vectors [T, H query_dim] over a paged cache, results
// [T, H value_dim].
struct AttentionShape {
  const char *op;
  uint32_t num_tokens, num_requests, num_heads, num_kv_heads, query_dim, value_dim;
  uint32_t block_size, num_blocks, window, causal;
  float scale, softcap;
  uint32_t block_table_stride;
  bz_matrix q, out;
  const int32_t *query_start, *seq_lens, *block_table;
  const float *sinks;
};

static inline AttentionShape shape_of(const bz_attention_args &a) {
  return {.op = "attention", .num_tokens = a.num_tokens, .num_requests = a.num_requests, .num_heads = a.num_heads,
          .num_kv_heads = a.num_kv_heads, .query_dim = a.head_dim, .value_dim = a.head_dim, .block_size = a.block_size,
          .num_blocks = a.num_blocks, .window = a.window, .causal = a.causal, .scale = a.scale, .softcap = a.softcap,
          .block_table_stride = a.block_table_stride, .q = a.q, .out = a.out, .query_start = a.query_start,
          .seq_lens = a.seq_lens, .block_table = a.block_table, .sinks = a.sinks};
}

static inline AttentionShape shape_of(const bz_latent_attention_args &a) {
  return {.op = "latent_attention", .num_tokens = a.num_tokens, .num_requests = a.num_requests,
          .num_heads = a.num_heads, .num_kv_heads = 1, .query_dim = a.rank + a.rope_dim, .value_dim = a.rank,
          .block_size = a.block_size, .num_blocks = a.num_blocks, .window = 0, .causal = 1, .scale = a.scale,
          .softcap = 0, .block_table_stride = a.block_table_stride, .q = a.q, .out = a.out,
          .query_start = a.query_start, .seq_lens = a.seq_lens, .block_table = a.block_table, .sinks = nullptr};
}

// One partial result: m and l of each query vector, then the values.
static inline uint64_t part_floats(uint32_t value_dim) { return MAX_QUERIES * (2 + padded_dim(value_dim)); }

// Partial results there is room for when the chunks of few items are shared by n threads. What the args point at is not
// known when scratch is reserved: the block table's width bounds the context.
static inline uint64_t shared_parts(const AttentionShape &a, uint32_t n) {
  if (n == 1) return 0;
  const uint64_t tiles = (uint64_t{a.num_tokens} * (a.num_heads / a.num_kv_heads) + MAX_QUERIES - 1) / MAX_QUERIES;
  const uint64_t most = (tiles + a.num_requests) * a.num_kv_heads, limit = uint64_t{2} * n;
  const uint64_t chunks = (uint64_t{a.block_table_stride} * a.block_size + CHUNK_KEYS - 1) / CHUNK_KEYS;
  const uint64_t parts = (most < limit ? most : limit) * chunks;
  const uint64_t room = MAX_SHARED_BYTES / (part_floats(a.value_dim) * 4);
  return parts < room ? parts : room;
}

static inline uint64_t attention_scratch_bytes(const AttentionShape &a, uint32_t n) {
  return shared_parts(a, n) * part_floats(a.value_dim) * 4;
}

// A thread's query vectors, laid out as rows of the cache, and two partial results.
static inline uint64_t latent_thread_floats(const bz_latent_attention_args &a) {
  return MAX_QUERIES * latent_row(a.rank, a.rope_dim) + 2 * part_floats(a.rank);
}

static inline uint64_t latent_scratch_bytes(const bz_latent_attention_args &a, uint32_t n) {
  return attention_scratch_bytes(shape_of(a), n) + n * latent_thread_floats(a) * 4;
}

} // namespace bz
