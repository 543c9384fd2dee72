// The requests of an op over a paged cache, and where their tokens lie.
#pragma once
#include "../common/status.h"

namespace bz {

template <class Args> bz_status check_requests(const char *op, const Args &a) {
  BZ_REQUIRE(a.query_start[0] == 0 && static_cast<uint32_t>(a.query_start[a.num_requests]) <= a.num_tokens, BZ_EINVAL,
             "%s: query_start spans [%d, %d), num_tokens is %u", op, a.query_start[0],
             a.query_start[a.num_requests], a.num_tokens);
  for (uint32_t r = 0; r < a.num_requests; r++) {
    const int64_t rows = int64_t{a.query_start[r + 1]} - a.query_start[r];
    BZ_REQUIRE(rows >= 0, BZ_EINVAL, "%s: query_start falls at request %u", op, r);
    BZ_REQUIRE(a.seq_lens[r] >= rows, BZ_EINVAL, "%s: seq_lens[%u] is %d, the request has %lld rows", op, r,
               a.seq_lens[r], static_cast<long long>(rows));
    BZ_REQUIRE(a.seq_lens[r] <= int64_t{a.block_table_stride} * a.block_size, BZ_EINVAL,
               "%s: seq_lens[%u] is %d, the block table holds %lld", op, r, a.seq_lens[r],
               static_cast<long long>(int64_t{a.block_table_stride} * a.block_size));
  }
  return BZ_OK;
}

// The slot of a request's token at position `key`.
template <class Args>
bz_status find_slot(const char *op, const Args &a, uint32_t request, int64_t key, uint64_t *slot) {
  const int64_t index = key / a.block_size;
  const int32_t block = a.block_table[uint64_t{request} * a.block_table_stride + static_cast<uint64_t>(index)];
  BZ_REQUIRE(block >= 0 && static_cast<uint32_t>(block) < a.num_blocks, BZ_EINVAL,
             "%s: block_table[%u, %lld] is %d, the cache has %u blocks", op, request, static_cast<long long>(index),
             block, a.num_blocks);
  *slot = static_cast<uint64_t>(block) * a.block_size + static_cast<uint64_t>(key % a.block_size);
  return BZ_OK;
}

} // namespace bz
