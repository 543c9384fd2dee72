// Sizes of what the KV cache holds of a token; kernels/kv_cache.h says where it lies.
#pragma once
#include <cstdint>

namespace bz {

// Values of a token lie in whole registers of the widest level.
static inline uint64_t padded_dim(uint64_t d) { return (d + 15) / 16 * 16; }

// A row of the latent cache: the latent, then the rotary key.
static inline uint64_t latent_row(uint32_t rank, uint32_t rope_dim) { return padded_dim(rank) + padded_dim(rope_dim); }

} // namespace bz
