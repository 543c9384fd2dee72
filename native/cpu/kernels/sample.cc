// bz_sample. A row belongs to one thread. Nothing is sorted: top-k and top-p look at the few candidates above a bound
// that the sections' maxima or the largest logit give, and the draw computes exact scores only where a quick one comes
// near the best.
#include "../kernels.h"
#include "../sampling_scratch.h"
#include "select.h"

namespace bz::BZ_LEVEL {

typedef const bz_sample_args Args;

struct Row {
  const float *l;        // logits / temperature [n]
  const float *sections; // the largest of each section
  uint64_t n;
  float max;
  float least;           // of min_p: values below it are out
};

// sampling_exp() a lane: the same operations in the same order.
BZ_INLINE F sampling_exp_lanes(F x) {
  const F n = (x * EXP_LOG2E + EXP_ROUND) - EXP_ROUND;
  F r = x - n * EXP_LN2_HIGH;
  r = r - n * EXP_LN2_LOW;
  F p = set(EXP_POLY[0]);
#pragma GCC unroll 5
  for (int i = 1; i < 6; i++) p = p * r + EXP_POLY[i];
  p = (p * (r * r) + r) + 1.0f;
  return (F)((I)p + (__builtin_convertvector(n, I) << 23));
}

constexpr uint32_t HALF = W / 2;
typedef double D __attribute__((vector_size(HALF * 8)));

// Sums of weights: in any order, they are exact.
struct WeightSum {
  D sums[2] = {};

  BZ_INLINE void add(WeightSum &to, F exponentials) {
    typedef float P __attribute__((vector_size(HALF * 4)));
    P halves[2];
    std::memcpy(halves, &exponentials, sizeof exponentials);
    for (int h = 0; h < 2; h++) to.sums[h] += (__builtin_convertvector(halves[h], D) + WEIGHT_ROUND) - WEIGHT_ROUND;
  }
  double total() const {
    const D both = sums[0] + sums[1];
    double whole = 0;
    for (uint32_t i = 0; i < HALF; i++) whole += both[i];
    return whole;
  }
};

static inline double round_weight(float e) { return (static_cast<double>(e) + WEIGHT_ROUND) - WEIGHT_ROUND; }

// Exponentials of all values that min_p leaves, and the sum of their weights.
static double weigh_all(const Row &row, float *exponentials) {
  WeightSum sum;
  for (uint64_t i = 0; i < row.n; i += W) {
    const F v = load_lanes(row.l, i, row.n), x = v - row.max;
    const F e = (x >= LOWEST_EXPONENT) & (v >= row.least) ? sampling_exp_lanes(max(x, set(LOWEST_EXPONENT))) : F{};
    if (i + W <= row.n) store(exponentials + i, e);
    else store_first(exponentials + i, row.n - i, e);
    WeightSum::add(sum, e);
  }
  return sum.total();
}

// The sum of the weights of all values >= least.
static double weigh_from(const Row &row, const float *exponentials, float least) {
  WeightSum sum;
  for (uint64_t begin = 0; begin < row.n; begin += SECTION) {
    if (row.sections[begin / SECTION] < least) continue;
    const uint64_t end = begin + SECTION < row.n ? begin + SECTION : row.n;
    for (uint64_t i = begin; i < end; i += W) {
      const F e = i + W <= end ? load(exponentials + i) : load_first(exponentials + i, end - i);
      WeightSum::add(sum, load_lanes(row.l, i, end) >= least ? e : F{});
    }
  }
  return sum.total();
}

// Keeps the front of the candidates, in descending order: a candidate stays while the weight before it is under
// `bound`; the first always stays. weights follow their keys. Returns the count kept.
static uint64_t cut_by_weight(uint64_t *keys, double *weights, uint64_t n, double bound) {
  const auto swap = [&](uint64_t i, uint64_t j) {
    const double weight = weights[i];
    weights[i] = weights[j], weights[j] = weight;
    swap_keys(keys, i, j);
  };
  uint64_t begin = 0, end = n; // [0, begin) stay, [end, n) go
  double before = 0;           // weight of [0, begin)
  while (begin < end) {
    swap(median_index(keys, begin, begin + (end - begin) / 2, end - 1), end - 1);
    const uint64_t pivot = keys[end - 1];
    uint64_t front = begin;
    double above = before; // weight of all that come before the pivot
    for (uint64_t i = begin; i + 1 < end; i++) {
      if (keys[i] <= pivot) continue;
      above += weights[i];
      swap(i, front++);
    }
    swap(front, end - 1);
    if (above < bound || front == 0) {
      before = above + weights[front];
      begin = front + 1;
    } else {
      end = front;
    }
  }
  return begin;
}

// Candidates for top-p out of the whole row: values within `reach` of the largest, which hold a weight of `bound` at
// least. The reach is halved in on, so that there are few more of them than needed.
static uint64_t collect_mass(const Row &row, const SamplingScratch &s, double bound) {
  float enough = -LOWEST_EXPONENT, less = 0;
  for (int i = 0; i < 6; i++) {
    const float reach = (enough + less) / 2;
    (weigh_from(row, s.exponentials, row.max - reach) >= bound ? enough : less) = reach;
  }
  const float least = enough == -LOWEST_EXPONENT || row.max - enough < row.least ? row.least : row.max - enough;
  const uint64_t count = collect(row.l, row.n, row.sections, least, s.keys);
  for (uint64_t i = 0; i < count; i++) s.weights[i] = round_weight(s.exponentials[key_id(s.keys[i])]);
  return count;
}

BZ_INLINE U rotate_lanes(U x, int bits) { return (x << bits) | (x >> (32 - bits)); }

// draw_hash() a lane.
BZ_INLINE U draw_hash_lanes(uint32_t prefix, U token) {
  const uint32_t tag = rotate_left(DRAW_TAG * 0xcc9e2d51u, 15) * 0x1b873593u;
  U hash = prefix ^ (rotate_lanes(token * 0xcc9e2d51u, 15) * 0x1b873593u);
  hash = rotate_lanes(hash, 13) * 5 + 0xe6546b64u;
  hash = rotate_lanes(hash ^ tag, 13) * 5 + 0xe6546b64u;
  hash ^= DRAW_BYTES;
  hash = (hash ^ (hash >> 16)) * 0x85ebca6bu;
  hash = (hash ^ (hash >> 13)) * 0xc2b2ae35u;
  return hash ^ (hash >> 16);
}

// The best draw so far. `near`: a little under its score.
struct Best {
  double score = -INFINITY;
  float near = -INFINITY;
  uint32_t id = 0;
};

constexpr float LARGEST_GUMBEL = 23; // of u = 1 - 2^-33: 22.9

// W values and their ids; lanes at -inf never win. Exact scores are computed for the few lanes that can: l - ln(-ln(u))
// reaches s only if -ln(u) <= exp(l - s), and 1 - u is never more than -ln(u).
BZ_INLINE void draw_lanes(F l, U ids, uint32_t prefix, Best &best) {
  if (lane_bits(l >= best.near - LARGEST_GUMBEL) == 0) return;
  const U hash = draw_hash_lanes(prefix, ids);
  const F rest = __builtin_convertvector((I)(~hash >> 1), F) * 0x1p-31f; // at most 1 - u, but for its rounding
  const F reach = exp(l - best.near) * 1.001f;
  for (uint32_t hits = lane_bits((rest <= reach) & (l > -INFINITY)); hits != 0; hits &= hits - 1) {
    const uint32_t lane = static_cast<uint32_t>(__builtin_ctz(hits)), id = ids[lane];
    const double score = gumbel_score(l[lane], hash[lane]);
    if (score < best.score || (score == best.score && id > best.id)) continue;
    best.score = score;
    best.id = id;
    best.near = static_cast<float>(score) - (1e-3f + 1e-6f * __builtin_fabsf(static_cast<float>(score)));
  }
}

static uint32_t draw_row(const Row &row, uint32_t prefix) {
  Best best;
  const U lanes = (U)lane_numbers();
  for (uint64_t i = 0; i < row.n; i += W) {
    const F v = load_lanes(row.l, i, row.n);
    draw_lanes(v >= row.least ? v : set(-INFINITY), lanes + static_cast<uint32_t>(i), prefix, best);
  }
  return best.id;
}

static uint32_t draw_candidates(const Row &row, const uint64_t *keys, uint64_t count, uint32_t prefix) {
  Best best;
  for (uint64_t i = 0; i < count; i += W) {
    F l = set(-INFINITY);
    U ids = {};
    for (uint32_t lane = 0; lane < W && i + lane < count; lane++) {
      ids[lane] = key_id(keys[i + lane]);
      l[lane] = row.l[ids[lane]];
    }
    draw_lanes(l, ids, prefix, best);
  }
  return best.id;
}

// Candidates that top-k leaves: the k largest, and all that equal the last of them.
static uint64_t collect_top_k(const Row &row, const SamplingScratch &s, uint64_t k) {
  const float reached = reached_by(row.sections, row.n, k, s.keys);
  const uint64_t count = collect(row.l, row.n, row.sections, reached > row.least ? reached : row.least, s.keys);
  if (count <= k) return count;
  select_largest(s.keys, count, k);
  const float least = row.l[key_id(s.keys[k - 1])];
  uint64_t kept = k;
  for (uint64_t i = k; i < count; i++) if (row.l[key_id(s.keys[i])] == least) s.keys[kept++] = s.keys[i];
  return kept;
}

// What the row draws from: all that min_p leaves, or the candidates alone.
static void tell_row(Args &a, uint32_t r, const Row &row) {
  if (a.out_processed.data == nullptr) return;
  float *out = row_of(a.out_processed, r);
  for (uint64_t i = 0; i < row.n; i++) out[i] = row.l[i] >= row.least ? row.l[i] : -INFINITY;
}

static void tell_candidates(Args &a, uint32_t r, const Row &row, const uint64_t *keys, uint64_t count) {
  if (a.out_processed.data == nullptr) return;
  float *out = row_of(a.out_processed, r);
  for (uint64_t i = 0; i < row.n; i++) out[i] = -INFINITY;
  for (uint64_t i = 0; i < count; i++) out[key_id(keys[i])] = row.l[key_id(keys[i])];
}

static uint32_t sample_row(Args &a, uint32_t r, const SamplingScratch &s, Team &team) {
  const float *logits = row_of(a.logits, r), temperature = a.temperature[r];
  const uint64_t n = a.logits.cols;
  const bool greedy = temperature < GREEDY_BELOW, as_is = greedy || temperature == 1;
  const RowMax top = row_max(logits, n, s.sections, temperature, as_is ? nullptr : s.logits);
  if (a.row_status != nullptr) a.row_status[r] = top.has_nan ? BZ_ENUMERIC : BZ_OK;
  if (top.has_nan) {
    if (a.row_status == nullptr) team.fail(BZ_ENUMERIC, "sample: a logit of row %u is NaN", r);
    return 0;
  }
  const float *l = as_is ? logits : s.logits;
  if (greedy || __builtin_isinf(top.max)) {
    tell_row(a, r, {l, s.sections, n, top.max, -INFINITY});
    return find_value(l, n, top.max);
  }
  const Row row = {l, s.sections, n, top.max, a.min_p[r] > 0 ? min_p_threshold(top.max, a.min_p[r]) : -INFINITY};
  const uint32_t prefix = draw_prefix(a.seeds[r], a.positions[r]);
  const bool top_k = a.top_k[r] > 0 && static_cast<uint32_t>(a.top_k[r]) < n, top_p = a.top_p[r] < 1;
  if (!top_k && !top_p) {
    tell_row(a, r, row);
    return draw_row(row, prefix);
  }
  uint64_t count = 0;
  double whole = 0;
  if (top_k) {
    count = collect_top_k(row, s, static_cast<uint64_t>(a.top_k[r]));
    if (!top_p) {
      tell_candidates(a, r, row, s.keys, count);
      return draw_candidates(row, s.keys, count, prefix);
    }
    for (uint64_t i = 0; i < count; i++) whole += s.weights[i] = sampling_weight(l[key_id(s.keys[i])], top.max);
  } else {
    whole = weigh_all(row, s.exponentials);
    count = collect_mass(row, s, static_cast<double>(a.top_p[r]) * whole);
  }
  count = cut_by_weight(s.keys, s.weights, count, static_cast<double>(a.top_p[r]) * whole);
  tell_candidates(a, r, row, s.keys, count);
  return draw_candidates(row, s.keys, count, prefix);
}

void sample(Args &a, Team &team) {
  std::byte *mine = team.scratch() + team.tid * sampling_scratch_bytes(a.logits.cols);
  const SamplingScratch scratch = sampling_scratch(mine, a.logits.cols);
  for (uint32_t r = team.claim(); r < a.num_requests; r = team.claim())
    a.out[r] = static_cast<int32_t>(sample_row(a, r, scratch, team));
}

} // namespace bz::BZ_LEVEL
