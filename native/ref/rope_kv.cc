#include <cmath>

#include "../common/check_ops.h"
#include "kv_cache.h"
#include "matrix.h"
#include "op.h"

static void normalize(float *x, const float *w, uint32_t d, float eps) {
  double sum = 0;
  for (uint32_t i = 0; i < d; i++) sum += static_cast<double>(x[i]) * x[i];
  const double scale = 1 / std::sqrt(sum / d + eps);
  for (uint32_t i = 0; i < d; i++) x[i] = static_cast<float>(x[i] * scale * w[i]);
}

static void rotate(float *x, const float *cos_sin, uint32_t rot_dim, bool interleaved) {
  const uint32_t half = rot_dim / 2;
  for (uint32_t i = 0; i < half; i++) {
    float &first = interleaved ? x[2 * i] : x[i];
    float &second = interleaved ? x[2 * i + 1] : x[i + half];
    const double c = cos_sin[i], s = cos_sin[half + i], a = first, b = second;
    first = static_cast<float>(a * c - b * s);
    second = static_cast<float>(b * c + a * s);
  }
}

static bz_status check_token(const bz_rope_kv_args &a, uint32_t t) {
  const int64_t num_slots = int64_t{a.num_blocks} * a.block_size;
  if (a.cos_sin != nullptr)
    BZ_REQUIRE(a.positions[t] >= 0 && static_cast<uint32_t>(a.positions[t]) < a.num_positions, BZ_EINVAL,
               "rope_kv: positions[%u] is %d, the table has %u", t, a.positions[t], a.num_positions);
  if (a.k_cache != nullptr)
    BZ_REQUIRE(a.slots[t] >= -1 && a.slots[t] < num_slots, BZ_EINVAL, "rope_kv: slots[%u] is %d, the cache has %lld", t,
               a.slots[t], static_cast<long long>(num_slots));
  return BZ_OK;
}

static void run_token(const bz_rope_kv_args &a, uint32_t t) {
  const uint32_t d = a.head_dim, h = a.num_heads, k = a.num_kv_heads;
  std::vector<float> qkv = bz::read_row(a.qkv, t);
  for (uint32_t head = 0; head < h + k; head++) {
    float *x = qkv.data() + uint64_t{head} * d;
    const float *w = head < h ? a.q_norm : a.k_norm;
    if (w != nullptr) normalize(x, w, d, a.eps);
    if (a.cos_sin != nullptr)
      rotate(x, a.cos_sin + static_cast<uint64_t>(a.positions[t]) * a.rot_dim, a.rot_dim, a.interleaved != 0);
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
  for (uint32_t t = 0; t < a.num_tokens && a.row_status == nullptr; t++) BZ_TRY(check_token(a, t));
  for (uint32_t t = 0; t < a.num_tokens; t++) {
    const bz_status status = check_token(a, t);
    if (a.row_status != nullptr) a.row_status[t] = status;
    if (status == BZ_OK) run_token(a, t);
  }
  return BZ_OK;
}

extern "C" bz_status bz_kv_cache_bytes(bz_kv_cache_args *args) {
  BZ_TRY(bz::check_kv_cache(args));
  args->out_bytes = uint64_t{args->num_blocks} * args->block_size * args->num_kv_heads * args->head_dim *
                    bz::dtype_bytes(args->kv_dtype);
  return BZ_OK;
}
