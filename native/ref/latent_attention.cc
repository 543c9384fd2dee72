// Latent attention. The cache is [slot][rank + rope_dim].
#include <algorithm>
#include <cmath>

#include "../common/check_ops.h"
#include "kv_cache.h"
#include "matrix.h"
#include "op.h"
#include "paged.h"
#include "rotary.h"

static void run_token(const bz_latent_kv_args &a, uint32_t t) {
  const uint32_t row = a.rank + a.rope_dim, q_dim = a.q.cols / a.num_heads;
  const float *cos_sin = a.cos_sin + static_cast<uint64_t>(a.positions[t]) * a.rope_dim;
  const std::vector<float> q = bz::read_row(a.q, t);
  std::vector<float> out = bz::read_row(a.out, t);
  for (uint64_t head = 0; head < a.num_heads; head++) {
    float *to = out.data() + head * row + a.rank;
    std::copy_n(q.data() + (head + 1) * q_dim - a.rope_dim, a.rope_dim, to);
    bz::rotate(to, cos_sin, a.rope_dim, a.interleaved != 0);
  }
  bz::write_row(a.out, t, out);
  if (a.slots[t] < 0) return;
  std::vector<float> kv = bz::read_row(a.kv, t);
  bz::normalize(kv.data(), a.w, a.rank, a.eps);
  bz::rotate(kv.data() + a.rank, cos_sin, a.rope_dim, a.interleaved != 0);
  const uint64_t at = static_cast<uint64_t>(a.slots[t]) * row;
  for (uint32_t i = 0; i < row; i++) bz::store_kv(a.cache, a.kv_dtype, at + i, kv[i]);
}

bz_status bz::run(const bz_latent_kv_args &a) {
  const TokenPlace place = {"latent_kv", a.positions, a.slots, a.num_positions, int64_t{a.num_blocks} * a.block_size};
  return for_tokens(place, a.num_tokens, a.row_status, [&](uint32_t t) { run_token(a, t); });
}

// One query head of one row over the keys at positions [0, end).
static bz_status attend(const bz_latent_attention_args &a, uint32_t request, int64_t end, const float *q, float *out) {
  const uint32_t row = a.rank + a.rope_dim;
  std::vector<uint64_t> at;
  std::vector<double> scores;
  for (int64_t key = 0; key < end; key++) {
    uint64_t slot = 0;
    BZ_TRY(bz::find_slot("latent_attention", a, request, key, &slot));
    at.push_back(slot * row);
    double score = 0;
    for (uint32_t i = 0; i < row; i++) score += double{q[i]} * bz::load_kv(a.cache, a.kv_dtype, at.back() + i);
    scores.push_back(score * a.scale);
  }
  const double max = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  std::vector<double> acc(a.rank, 0.0);
  for (size_t key = 0; key < at.size(); key++) {
    const double weight = std::exp(scores[key] - max);
    sum += weight;
    for (uint32_t i = 0; i < a.rank; i++) acc[i] += weight * bz::load_kv(a.cache, a.kv_dtype, at[key] + i);
  }
  for (uint32_t i = 0; i < a.rank; i++) out[i] = static_cast<float>(acc[i] / sum);
  return BZ_OK;
}

bz_status bz::run(const bz_latent_attention_args &a) {
  if (a.num_requests == 0) return BZ_OK;
  BZ_TRY(check_requests("latent_attention", a));
  for (uint32_t r = 0; r < a.num_requests; r++) {
    const int64_t rows = int64_t{a.query_start[r + 1]} - a.query_start[r];
    for (int64_t i = 0; i < rows; i++) {
      const uint64_t row = static_cast<uint64_t>(a.query_start[r] + i);
      const std::vector<float> q = read_row(a.q, row);
      std::vector<float> out(a.out.cols);
      for (uint64_t head = 0; head < a.num_heads; head++)
        BZ_TRY(attend(a, r, a.seq_lens[r] - rows + i + 1, q.data() + head * (a.rank + a.rope_dim),
                      out.data() + head * a.rank));
      write_row(a.out, row, out);
    }
  }
  for (uint64_t row = static_cast<uint64_t>(a.query_start[a.num_requests]); row < a.num_tokens; row++)
    clear_row(a.out, row); // padded tokens
  return BZ_OK;
}

bz_status bz::run(const bz_linear_heads_args &a) {
  const uint64_t x_dim = a.x.cols / a.num_heads, y_dim = a.y.cols / a.num_heads;
  for (uint32_t t = 0; t < a.num_tokens; t++) {
    const std::vector<float> x = read_row(a.x, t);
    std::vector<float> y = read_row(a.y, t);
    for (uint64_t head = 0; head < a.num_heads; head++) {
      for (uint64_t n = 0; n < a.n; n++) {
        double sum = 0;
        for (uint64_t c = 0; c < a.c; c++)
          sum += double{x[head * x_dim + c]} * load_kv(a.w, a.w_dtype, (head * a.c + c) * a.n + n);
        y[head * y_dim + n] = static_cast<float>(sum);
      }
    }
    write_row(a.y, t, y);
  }
  return BZ_OK;
}

extern "C" bz_status bz_latent_cache_bytes(bz_latent_cache_args *args) {
  BZ_TRY(bz::check_latent_cache(args));
  args->out_bytes = uint64_t{args->num_blocks} * args->block_size * (args->rank + args->rope_dim) *
                    bz::dtype_bytes(args->kv_dtype);
  return BZ_OK;
}
