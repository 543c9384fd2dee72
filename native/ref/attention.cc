#include <algorithm>
#include <cmath>

#include "kv_cache.h"
#include "matrix.h"
#include "op.h"
#include "paged.h"

// One query head of one row over the keys at positions [begin, end).
static bz_status attend(const bz_attention_args &a, uint32_t request, uint32_t head, int64_t begin, int64_t end,
                        const float *q, float *out) {
  const uint32_t d = a.head_dim, kv_head = head / (a.num_heads / a.num_kv_heads);
  std::vector<uint64_t> at(static_cast<size_t>(end - begin));
  std::vector<double> p(at.size());
  double max = a.sinks == nullptr ? -INFINITY : a.sinks[head];
  for (int64_t key = begin; key < end; key++) {
    uint64_t slot = 0;
    BZ_TRY(bz::find_slot("attention", a, request, key, &slot));
    const size_t i = static_cast<size_t>(key - begin);
    at[i] = (slot * a.num_kv_heads + kv_head) * d;
    double score = 0;
    for (uint32_t j = 0; j < d; j++) score += static_cast<double>(q[j]) * bz::load_kv(a.k_cache, a.kv_dtype, at[i] + j);
    score *= a.scale;
    if (a.softcap > 0) score = a.softcap * std::tanh(score / a.softcap);
    p[i] = score;
    max = std::max(max, score);
  }
  double sum = a.sinks == nullptr ? 0 : std::exp(a.sinks[head] - max);
  std::vector<double> acc(d, 0.0);
  for (size_t i = 0; i < p.size(); i++) {
    const double weight = std::exp(p[i] - max);
    sum += weight;
    for (uint32_t j = 0; j < d; j++) acc[j] += weight * bz::load_kv(a.v_cache, a.kv_dtype, at[i] + j);
  }
  for (uint32_t j = 0; j < d; j++) out[j] = static_cast<float>(acc[j] / sum);
  return BZ_OK;
}

bz_status bz::run(const bz_attention_args &a) {
  if (a.num_requests == 0) return BZ_OK;
  BZ_TRY(bz::check_requests("attention", a));
  for (uint32_t r = 0; r < a.num_requests; r++) {
    const int64_t rows = a.query_start[r + 1] - a.query_start[r];
    for (int64_t i = 0; i < rows; i++) {
      const int64_t position = a.seq_lens[r] - rows + i;
      const int64_t end = a.causal != 0 ? position + 1 : a.seq_lens[r];
      const int64_t begin = a.window > 0 ? std::max<int64_t>(0, position + 1 - int64_t{a.window}) : 0;
      const uint64_t row = static_cast<uint64_t>(a.query_start[r] + i);
      const std::vector<float> q = bz::read_row(a.q, row);
      std::vector<float> out(a.out.cols);
      for (uint32_t head = 0; head < a.num_heads; head++) {
        const uint64_t at = uint64_t{head} * a.head_dim;
        BZ_TRY(attend(a, r, head, begin, end, q.data() + at, out.data() + at));
      }
      bz::write_row(a.out, row, out);
    }
  }
  for (uint64_t row = static_cast<uint64_t>(a.query_start[a.num_requests]); row < a.num_tokens; row++)
    bz::clear_row(a.out, row); // padded tokens
  return BZ_OK;
}
