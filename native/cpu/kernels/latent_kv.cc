// bz_latent_kv. An item is one query head of one token, or what the token leaves in the cache.
#include "../kernels.h"
#include "kv_cache.h"
#include "latent_cache.h"
#include "rotary.h"

namespace bz::BZ_LEVEL {

typedef const bz_latent_kv_args Args;

static void rotate_part(Args &a, uint64_t token, const float *from, float *to) {
  const float *cos_sin = a.cos_sin + static_cast<uint64_t>(a.positions[token]) * a.rope_dim;
  std::memcpy(to, from, uint64_t{a.rope_dim} * 4);
  if (a.interleaved != 0) rotate_interleaved(to, cos_sin, a.rope_dim);
  else rotate(to, cos_sin, a.rope_dim);
}

template <class Kv> static void store_token(Args &a, uint64_t token) {
  if (a.slots[token] < 0) return;
  const uint64_t slot = static_cast<uint64_t>(a.slots[token]);
  const float *kv = row_of(a.kv, token);
  // Zeros behind both parts: attention multiplies whole registers.
  alignas(64) float row[MAX_LATENT_ROW] = {};
  normalize(kv, a.w, a.rank, a.eps, row);
  rotate_part(a, token, kv + a.rank, row + padded_dim(a.rank));
  const uint64_t size = latent_row(a.rank, a.rope_dim);
  auto *group = latent_group(static_cast<typename Kv::Element *>(a.cache), slot / GROUP_TOKENS, size);
  Kv::store_value(group, slot % GROUP_TOKENS, size, row, static_cast<uint32_t>(size));
}

void latent_kv(Args &a, Team &team) {
  const TokenPlaces places = {"latent_kv", a.positions, a.slots, a.num_positions,
                              int64_t{a.num_blocks} * a.block_size};
  if (a.row_status == nullptr && !all_fit(places, a.num_tokens, team)) return; // every thread sees the same
  const uint32_t h = a.num_heads;
  const uint64_t q_dim = a.q.cols / h, out_dim = uint64_t{a.rank} + a.rope_dim;
  const auto store = a.kv_dtype == BZ_F32 ? store_token<KvF32> : store_token<KvBf16>;
  const Range items = split(uint64_t{a.num_tokens} * (h + 1), team);
  HeadCursor at(items.begin, h + 1);
  for (uint64_t item = items.begin; item < items.end; item++, at.advance()) {
    if (a.row_status != nullptr) {
      const bool is_right = fits(places, at.token);
      if (at.head == 0) a.row_status[at.token] = is_right ? BZ_OK : BZ_EINVAL;
      if (!is_right) continue;
    }
    if (at.head == h) {
      store(a, at.token);
      continue;
    }
    // Of each head the last rope_dim values.
    const uint64_t next = uint64_t{at.head} + 1;
    rotate_part(a, at.token, row_of(a.q, at.token) + next * q_dim - a.rope_dim,
                row_of(a.out, at.token) + next * out_dim - a.rope_dim);
  }
}

} // namespace bz::BZ_LEVEL
