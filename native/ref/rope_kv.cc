#include "../common/check_ops.h"
#include "kv_cache.h"
#include "matrix.h"
#include "op.h"
#include "rotary.h"

static void run_token(const bz_rope_kv_args &a, uint32_t t) {
  const uint32_t d = a.head_dim, h = a.num_heads, k = a.num_kv_heads;
  std::vector<float> qkv = bz::read_row(a.qkv, t);
  for (uint32_t head = 0; head < h + k; head++) {
    float *x = qkv.data() + uint64_t{head} * d;
    const float *w = head < h ? a.q_norm : a.k_norm;
    if (w != nullptr) bz::normalize(x, w, d, a.eps);
    if (a.cos_sin != nullptr)
      bz::rotate(x, a.cos_sin + static_cast<uint64_t>(a.positions[t]) * a.rot_dim, a.rot_dim, a.interleaved != 0);
  }
  bz::write_row(a.qkv, t, qkv);
  if (a.k_cache == nullptr || a.slots[t] < 0) return;
  const uint64_t to = static_cast<uint64_t>(a.slots[t]) * k * d;
  for (uint64_t i = 0; i < uint64_t{k} * d; i++) {
    bz::store_kv(a.k_cache, a.kv_dtype, to + i, qkv[uint64_t{h} * d + i]);
    bz::store_kv(a.v_cache, a.kv_dtype, to + i, qkv[uint64_t{h + k} * d + i]);
  }
}

bz_status bz::run(const bz_rope_kv_args &a) {
  const TokenPlace place = {"rope_kv", a.cos_sin == nullptr ? nullptr : a.positions,
                            a.k_cache == nullptr ? nullptr : a.slots, a.num_positions,
                            int64_t{a.num_blocks} * a.block_size};
  return for_tokens(place, a.num_tokens, a.row_status, [&](uint32_t t) { run_token(a, t); });
}

extern "C" bz_status bz_kv_cache_bytes(bz_kv_cache_args *args) {
  BZ_TRY(bz::check_kv_cache(args));
  args->out_bytes = uint64_t{args->num_blocks} * args->block_size * args->num_kv_heads * args->head_dim *
                    bz::dtype_bytes(args->kv_dtype);
  return BZ_OK;
}
