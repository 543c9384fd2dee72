// bz_sample. A row belongs to one thread. Nothing is sorted: top-k and top-p look at the few candidates above a bound that the
// sections' maxima or the largest logit give, and the draw computes exact scores only where a quick one comes near the best.
#include "../kernels.h"
#include "../sampling_scratch.h"
#include "select.h"

namespace bz::BZ_LEVEL {

typedef const bz_sample_args Args;

struct Row {
  const float *l; // logits / temperature [n]
  uint64_t n;
  float max;
  float least;    // of min_p: values below it are out
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

static inline double round_weight(float e) { return (static_cast<double>(e) + WEIGHT_ROUND) - WEIGHT_ROUND; }

// Exponentials of all values that min_p leaves, and the sum of their weights.
static double weigh_all(const Row &row, float *exponentials) {
  constexpr uint32_t HALF = W / 2;
  typedef double D __attribute__((vector_size(HALF * 8)));
  typedef float P __attribute__((vector_size(HALF * 4)));
  D sums[2] = {};
  for (uint64_t i = 0; i < row.n; i += W) {
    const F v = i + W <= row.n ? load(row.l + i) : load_first(row.l + i, row.n - i, -INFINITY);
    const F x = v - row.max;
    const F e = (x >= LOWEST_EXPONENT) & (v >= row.least) ? sampling_exp_lanes(max(x, set(LOWEST_EXPONENT))) : F{};
    if (i + W <= row.n) store(exponentials + i, e);
    else store_first(exponentials + i, row.n - i, e);
    P halves[2];
    std::memcpy(halves, &e, sizeof e);
    for (int h = 0; h < 2; h++) sums[h] += (__builtin_convertvector(halves[h], D) + WEIGHT_ROUND) - WEIGHT_ROUND;
  }
  double whole = 0;
  for (const D &sum : sums) for (uint32_t i = 0; i < HALF; i++) whole += sum[i];
  return whole;
}

// Keeps the front of the candidates, in descending order: a candidate stays while the weight before it is under `bound`; the
// first always stays. weights follow their keys. Returns the count kept.
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

// Candidates for top-p out of the whole row: values within `reach` of the largest, with reach wide enough to hold `bound`.
static uint64_t collect_mass(const Row &row, const SamplingScratch &s, double bound) {
  for (float reach = 4;; reach *= 2) {
    const bool all = reach > -LOWEST_EXPONENT;
    const float least = all || row.max - reach < row.least ? row.least : row.max - reach;
    const uint64_t count = collect(row.l, row.n, least, s.keys);
    double mass = 0;
    for (uint64_t i = 0; i < count; i++) mass += s.weights[i] = round_weight(s.exponentials[key_id(s.keys[i])]);
    if (mass >= bound || least == row.least) return count;
  }
}

// ln(x) to about 1e-6 for positive normal x. Source: the coefficients of Cephes logf.
BZ_INLINE F log_quick(F x) {
  const I bits = (I)x - 0x3f3504f3; // split at sqrt(1/2)
  const F e = __builtin_convertvector(bits >> 23, F);
  const F m = (F)((bits & 0x7fffff) + 0x3f3504f3) - 1.0f;
  F p = set(7.0376836292e-2f);
  p = fma(p, m, set(-1.1514610310e-1f));
  p = fma(p, m, set(1.1676998740e-1f));
  p = fma(p, m, set(-1.2420140846e-1f));
  p = fma(p, m, set(1.4249322787e-1f));
  p = fma(p, m, set(-1.6668057665e-1f));
  p = fma(p, m, set(2.0000714765e-1f));
  p = fma(p, m, set(-2.4999993993e-1f));
  p = fma(p, m, set(3.3333331174e-1f));
  const F square = m * m;
  return fma(e, set(0.693147180559945f), fma(p, square * m, fma(square, set(-0.5f), m)));
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

// -ln(-ln(u)) to about 1e-5. Near 1, -ln(u) comes from 1 - u, which float32 still tells apart.
BZ_INLINE F gumbel_quick(U hash) {
  const F u = (__builtin_convertvector((I)(hash >> 1), F) + 0.25f) * 0x1p-31f;
  const F rest = (__builtin_convertvector((I)(~hash >> 1), F) + 0.25f) * 0x1p-31f; // 1 - u
  const F series = rest * fma(rest, fma(rest, set(0.33333333f), set(0.5f)), set(1.0f));
  return -log_quick(rest < 0.01f ? series : -log_quick(u));
}

// The best draw so far. `near`: a quick score below it cannot win.
struct Best {
  double score = -INFINITY;
  float near = -INFINITY;
  uint32_t id = 0;
};

constexpr float LARGEST_GUMBEL = 23; // of u = 1 - 2^-33: 22.9

// W values and their ids; lanes at -inf never win.
BZ_INLINE void draw_lanes(F l, U ids, uint32_t prefix, Best &best) {
  if (lane_bits(l >= best.near - LARGEST_GUMBEL) == 0) return;
  const F quick = l + gumbel_quick(draw_hash_lanes(prefix, ids));
  for (uint32_t hits = lane_bits((quick >= best.near) & (l > -INFINITY)); hits != 0; hits &= hits - 1) {
    const uint32_t lane = static_cast<uint32_t>(__builtin_ctz(hits)), id = ids[lane];
    const double score = gumbel_score(l[lane], draw_hash(prefix, id));
    if (score < best.score || (score == best.score && id > best.id)) continue;
    best.score = score;
    best.id = id;
    best.near = static_cast<float>(score) - (1e-3f + 1e-5f * __builtin_fabsf(static_cast<float>(score)));
  }
}

static uint32_t draw_row(const Row &row, uint32_t prefix) {
  Best best;
  const U lanes = (U)lane_numbers();
  for (uint64_t i = 0; i < row.n; i += W) {
    F v = i + W <= row.n ? load(row.l + i) : load_first(row.l + i, row.n - i, -INFINITY);
    if (row.least > -INFINITY) v = v >= row.least ? v : set(-INFINITY);
    draw_lanes(v, lanes + static_cast<uint32_t>(i), prefix, best);
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

static void scale_row(const float *logits, uint64_t n, float temperature, float *out) {
  const F t = set(temperature);
  uint64_t i = 0;
  for (; i + W <= n; i += W) store(out + i, load(logits + i) / t);
  for (; i < n; i++) out[i] = logits[i] / temperature;
}

static uint32_t sample_row(Args &a, uint32_t r, const SamplingScratch &s, Team &team) {
  const float *logits = a.logits + r * a.logits_stride, temperature = a.temperature[r];
  const uint64_t n = a.vocab_size;
  const bool greedy = temperature < GREEDY_BELOW;
  const bool top_k = a.top_k[r] > 0 && static_cast<uint32_t>(a.top_k[r]) < n;
  if (!greedy) scale_row(logits, n, temperature, s.logits);
  const float *l = greedy ? logits : s.logits;
  const RowMax top = row_max(l, n, top_k && !greedy ? s.sections : nullptr);
  if (top.has_nan) {
    team.fail(BZ_EDEVICE, "sample: a logit of row %u is NaN", r);
    return 0;
  }
  if (greedy || __builtin_isinf(top.max)) return find_value(l, n, top.max);
  Row row = {l, n, top.max, a.min_p[r] > 0 ? min_p_threshold(top.max, a.min_p[r]) : -INFINITY};
  const uint32_t prefix = draw_prefix(a.seeds[r], a.positions[r]);
  uint64_t count = 0;
  if (top_k) {
    const uint64_t k = static_cast<uint64_t>(a.top_k[r]);
    const float reached = reached_by(s.sections, n, k, s.keys);
    count = collect(l, n, reached > row.least ? reached : row.least, s.keys);
    if (count > k) {
      select_largest(s.keys, count, k);
      const float least = l[key_id(s.keys[k - 1])];
      uint64_t kept = k;
      for (uint64_t i = k; i < count; i++) if (l[key_id(s.keys[i])] == least) s.keys[kept++] = s.keys[i];
      count = kept;
    }
    if (a.top_p[r] < 1) {
      double whole = 0;
      for (uint64_t i = 0; i < count; i++) whole += s.weights[i] = sampling_weight(l[key_id(s.keys[i])], top.max);
      count = cut_by_weight(s.keys, s.weights, count, static_cast<double>(a.top_p[r]) * whole);
    }
    return draw_candidates(row, s.keys, count, prefix);
  }
  if (!(a.top_p[r] < 1)) return draw_row(row, prefix);
  const double bound = static_cast<double>(a.top_p[r]) * weigh_all(row, s.exponentials);
  count = cut_by_weight(s.keys, s.weights, collect_mass(row, s, bound), bound);
  return draw_candidates(row, s.keys, count, prefix);
}

void sample(Args &a, Team &team) {
  const SamplingScratch scratch = sampling_scratch(team.scratch() + team.tid * sampling_scratch_bytes(a.vocab_size), a.vocab_size);
  for (uint32_t r = team.claim(); r < a.num_requests; r = team.claim())
    a.out[r] = static_cast<int32_t>(sample_row(a, r, scratch, team));
}

} // namespace bz::BZ_LEVEL
