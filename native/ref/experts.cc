// Mixtures of experts: routing, products with a stack of weights, and the sum of what experts made.
#include <algorithm>
#include <cmath>
#include <limits>

#include "../common/weight_args.h"
#include "matrix.h"
#include "op.h"
#include "stream.h"
#include "weight.h"

namespace bz {

static std::vector<double> scores_of(const std::vector<float> &x, uint32_t kind) {
  std::vector<double> scores(x.begin(), x.end());
  if (kind == BZ_SCORES_SIGMOID) {
    for (double &s : scores) s = 1 / (1 + std::exp(-s));
    return scores;
  }
  const double largest = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double &s : scores) sum += s = std::exp(s - largest);
  for (double &s : scores) s /= sum;
  return scores;
}

// The numbers of the `count` largest, of equal ones those that come first, in that order.
static std::vector<uint32_t> largest_of(const std::vector<double> &values, uint32_t count) {
  std::vector<uint32_t> order(values.size());
  for (uint32_t i = 0; i < order.size(); i++) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return values[a] > values[b]; });
  order.resize(count);
  return order;
}

// Experts outside the best groups are never chosen: -infinity.
static void keep_best_groups(const bz_route_args &a, std::vector<double> *keys) {
  const auto size = static_cast<uint32_t>(keys->size()) / a.num_groups;
  std::vector<double> groups;
  for (uint32_t g = 0; g < a.num_groups; g++) {
    std::vector<double> members(keys->begin() + g * size, keys->begin() + (g + 1) * size);
    std::sort(members.rbegin(), members.rend());
    groups.push_back(a.group_scores == BZ_GROUPS_BY_MAX ? members[0] : members[0] + members[1]);
  }
  const std::vector<uint32_t> best = largest_of(groups, a.top_groups);
  for (uint32_t e = 0; e < keys->size(); e++)
    if (std::find(best.begin(), best.end(), e / size) == best.end())
      (*keys)[e] = -std::numeric_limits<double>::infinity();
}

static void route_row(const bz_route_args &a, const std::vector<float> &x, int32_t *ids, float *weights) {
  const std::vector<double> scores = scores_of(x, a.scores);
  const bool by_logits = a.bias == nullptr && (a.num_groups <= 1 || a.group_scores == BZ_GROUPS_BY_MAX);
  std::vector<double> keys(x.size());
  bool are_numbers = true;
  for (uint32_t e = 0; e < x.size(); e++) {
    keys[e] = by_logits ? x[e] : scores[e] + (a.bias != nullptr ? a.bias[e] : 0);
    are_numbers = are_numbers && std::isfinite(x[e]) && std::isfinite(keys[e]);
  }
  if (!are_numbers) {
    for (uint32_t j = 0; j < a.top_k; j++) ids[j] = static_cast<int32_t>(j), weights[j] = NAN;
    return;
  }
  if (a.num_groups > 1) keep_best_groups(a, &keys);
  const std::vector<uint32_t> chosen = largest_of(keys, a.top_k);
  double sum = 1e-20;
  for (const uint32_t e : chosen) sum += scores[e];
  for (uint32_t j = 0; j < a.top_k; j++) {
    ids[j] = static_cast<int32_t>(chosen[j]);
    weights[j] = static_cast<float>(a.scale * (a.normalize ? scores[chosen[j]] / sum : scores[chosen[j]]));
  }
}

bz_status run(const bz_route_args &a) {
  for (uint64_t t = 0; t < a.num_tokens; t++)
    route_row(a, read_row(a.x, t), a.ids + t * a.top_k, a.weights + t * a.top_k);
  return BZ_OK;
}

bz_status run(const bz_combine_args &a) {
  for (uint64_t t = 0; t < a.num_tokens; t++) {
    std::vector<double> sum(a.y.cols);
    for (uint64_t j = 0; j < a.top_k; j++) {
      const std::vector<float> x = read_row(a.x, t * a.top_k + j);
      for (uint32_t i = 0; i < a.y.cols; i++) sum[i] += static_cast<double>(a.weights[t * a.top_k + j]) * x[i];
    }
    std::vector<float> y = read_row(a.y, t);
    for (uint32_t i = 0; i < a.y.cols; i++) y[i] = static_cast<float>(a.accumulate ? y[i] + sum[i] : sum[i]);
    write_row(a.y, t, y);
  }
  return BZ_OK;
}

static bz_status linear_experts(const bz_linear_experts_args &a) {
  const bz_weight &w = *a.weight;
  for (uint32_t r = 0; r < a.num_rows; r++) {
    const int32_t id = a.ids[r];
    const bool is_there = id >= 0 && static_cast<uint32_t>(id) < w.num_experts;
    if (a.row_status != nullptr) a.row_status[r] = is_there ? BZ_OK : BZ_EINVAL;
    else BZ_REQUIRE(is_there, BZ_EINVAL, "linear_experts: ids[%u] is %d, must be in [0, %u)", r, id, w.num_experts);
    if (!is_there) {
      clear_row(a.y, r);
      continue;
    }
    const auto e = static_cast<uint32_t>(id);
    const std::vector<float> x = read_row(a.x, r / a.x_repeat);
    std::vector<float> y(w.n);
    for (uint32_t n = 0; n < w.n; n++) {
      const float *row = w.values.data() + (uint64_t{e} * w.n + n) * w.c;
      double sum = a.bias != nullptr ? a.bias[uint64_t{e} * w.n + n] : 0; // in float64: see linear.cc
      for (uint32_t c = 0; c < w.c; c++) sum += static_cast<double>(x[c]) * row[c];
      y[n] = static_cast<float>(sum);
    }
    write_row(a.y, r, y);
  }
  return BZ_OK;
}

} // namespace bz

extern "C" bz_status bz_linear_experts(bz_stream *stream, const bz_linear_experts_args *args) {
  BZ_CHECK_ARGS("linear_experts", args);
  BZ_REQUIRE(stream != nullptr && args->weight != nullptr, BZ_EINVAL, "linear_experts: stream or weight is NULL");
  BZ_TRY(bz::check_linear_experts(args, args->weight->shape(), stream->mode == bz::Mode::plan));
  return bz::submit(stream, [a = *args] { return bz::linear_experts(a); });
}
