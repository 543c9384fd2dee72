// Where the latent of a token lies in the cache: [B][S][row] in float32, [B][S / 2][row][2] in bfloat16, which is how
// kv_cache.h has the values of one KV head. A row is latent and rotary key, each filled up with zeros to whole
// registers of the widest level.
#pragma once
#include "../attention_plan.h"
#include "kv_cache.h"

namespace bz::BZ_LEVEL {

// As far as bz_latent_kv allows: ranks up to 1024, rotary keys up to 256.
constexpr uint64_t MAX_LATENT_ROW = 1024 + 256;

// The rows of 16 tokens: slots [16 group, 16 group + 16), which are of one block.
template <class Element> static inline Element *latent_group(Element *cache, uint64_t group, uint64_t row) {
  return cache + group * GROUP_TOKENS * row;
}

} // namespace bz::BZ_LEVEL
