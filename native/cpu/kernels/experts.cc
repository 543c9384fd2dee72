// Which experts tokens go to, and the sum of what experts made of them.
#include "../kernels.h"
#include "../route_scratch.h"
#include "finite.h"

namespace bz::BZ_LEVEL {
namespace {

constexpr float OUT = -__builtin_inff(); // of an expert, or a group, that is not to be chosen

float largest_of(const float *values, uint64_t n) {
  F largest = set(OUT);
  uint64_t i = 0;
  for (; i + W <= n; i += W) largest = max(load(values + i), largest);
  if (i < n) largest = max(load_first(values + i, n - i, OUT), largest);
  return max_lanes(largest);
}

// The first of the largest values. Requires: one is above OUT.
uint32_t first_largest(const float *values, uint64_t n) {
  const float largest = largest_of(values, n);
  uint32_t i = 0;
  while (values[i] != largest) i++;
  return i;
}

void softmax(const float *x, uint64_t n, float *scores) {
  const F largest = set(largest_of(x, n));
  F sums = {};
  uint64_t i = 0;
  for (; i + W <= n; i += W) {
    const F s = exp(load(x + i) - largest);
    store(scores + i, s);
    sums = sums + s;
  }
  if (i < n) { // exp(-inf) is 0
    const F s = exp(load_first(x + i, n - i, OUT) - largest);
    store_first(scores + i, n - i, s);
    sums = sums + s;
  }
  const float sum = sum_lanes(sums);
  for (i = 0; i < n; i++) scores[i] /= sum;
}

void sigmoid(const float *x, uint64_t n, float *scores) {
  uint64_t i = 0;
  for (; i + W <= n; i += W) store(scores + i, 1.0f / (1.0f + exp(-load(x + i))));
  if (i < n) store_first(scores + i, n - i, 1.0f / (1.0f + exp(-load_first(x + i, n - i))));
}

// Puts the keys of all groups but the best out.
void keep_best_groups(const bz_route_args &a, float *keys, float *groups) {
  const uint32_t size = a.x.cols / a.num_groups;
  for (uint32_t g = 0; g < a.num_groups; g++) {
    float first = OUT, second = OUT;
    for (uint32_t i = 0; i < size; i++) {
      const float key = keys[g * size + i];
      if (key > first) second = first, first = key;
      else if (key > second) second = key;
    }
    groups[g] = a.group_scores == BZ_GROUPS_BY_MAX ? first : first + second;
  }
  for (uint32_t i = 0; i < a.top_groups; i++) groups[first_largest(groups, a.num_groups)] = OUT;
  for (uint32_t g = 0; g < a.num_groups; g++)
    for (uint32_t i = 0; i < size && groups[g] != OUT; i++) keys[g * size + i] = OUT;
}

void route_row(const bz_route_args &a, const float *x, const RouteScratch &scratch, int32_t *ids, float *weights) {
  const uint64_t n = a.x.cols;
  const bool by_logits = a.bias == nullptr && (a.num_groups <= 1 || a.group_scores == BZ_GROUPS_BY_MAX);
  bool are_numbers = is_finite(x, n);
  if (are_numbers) {
    if (a.scores == BZ_SCORES_SOFTMAX) softmax(x, n, scratch.scores);
    else sigmoid(x, n, scratch.scores);
    std::memcpy(scratch.keys, by_logits ? x : scratch.scores, n * 4);
    for (uint64_t e = 0; e < n && a.bias != nullptr; e++) scratch.keys[e] += a.bias[e];
    are_numbers = is_finite(scratch.keys, n);
  }
  if (!are_numbers) {
    for (uint32_t j = 0; j < a.top_k; j++) ids[j] = static_cast<int32_t>(j), weights[j] = __builtin_nanf("");
    return;
  }
  if (a.num_groups > 1) keep_best_groups(a, scratch.keys, scratch.groups);
  float sum = 1e-20f;
  for (uint32_t j = 0; j < a.top_k; j++) {
    const uint32_t e = first_largest(scratch.keys, n);
    scratch.keys[e] = OUT;
    ids[j] = static_cast<int32_t>(e);
    weights[j] = scratch.scores[e];
    sum += weights[j];
  }
  for (uint32_t j = 0; j < a.top_k; j++) weights[j] = a.scale * (a.normalize ? weights[j] / sum : weights[j]);
}

} // namespace

void route(const bz_route_args &a, Team &team) {
  const RouteScratch scratch(team.scratch(), a.x.cols, team.tid);
  const Range mine = split(a.num_tokens, team);
  for (uint64_t t = mine.begin; t < mine.end; t++)
    route_row(a, row_of(a.x, t), scratch, a.ids + t * a.top_k, a.weights + t * a.top_k);
}

void combine(const bz_combine_args &a, Team &team) {
  constexpr uint64_t PIECE = 256;
  const uint64_t c = a.y.cols, k = a.top_k, pieces = (c + PIECE - 1) / PIECE;
  const Range mine = split(a.num_tokens * pieces, team);
  for (uint64_t item = mine.begin; item < mine.end; item++) {
    const uint64_t t = item / pieces, begin = item % pieces * PIECE, end = begin + PIECE < c ? begin + PIECE : c;
    const float *weights = a.weights + t * k;
    float *y = row_of(a.y, t);
    for (uint64_t i = begin; i < end; i += W) {
      const uint64_t n = end - i < W ? end - i : W;
      F sum = {};
      for (uint64_t j = 0; j < k; j++) {
        const float *x = row_of(a.x, t * k + j) + i;
        sum = fma(set(weights[j]), n == W ? load(x) : load_first(x, n), sum);
      }
      if (n == W) store(y + i, a.accumulate ? load(y + i) + sum : sum);
      else store_first(y + i, n, a.accumulate ? load_first(y + i, n) + sum : sum);
    }
  }
}

} // namespace bz::BZ_LEVEL
