#include "../common/sampling.h"
#include "op.h"

#include <algorithm>
#include <vector>


static int32_t argmax(const float *l, uint32_t n) {
  uint32_t best = 0;
  for (uint32_t i = 1; i < n; i++) if (l[i] > l[best]) best = i;
  return static_cast<int32_t>(best);
}

// Everything below the k-th largest value becomes -inf.
static void keep_top_k(std::vector<float> &l, uint32_t k) {
  std::vector<float> sorted(l);
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  for (float &x : l) if (x < sorted[k - 1]) x = -INFINITY;
}

// In descending order, a token stays while the weight before it is under p of the whole; the first one always stays.
static void keep_top_p(std::vector<float> &l, float max, float p) {
  std::vector<uint32_t> order(l.size());
  double whole = 0;
  for (uint32_t i = 0; i < l.size(); i++) {
    order[i] = i;
    whole += bz::sampling_weight(l[i], max);
  }
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return bz::sort_key(l[a], a) > bz::sort_key(l[b], b); });
  const double bound = static_cast<double>(p) * whole;
  double before = 0;
  for (uint32_t i = 0; i < order.size(); i++) {
    const double weight = bz::sampling_weight(l[order[i]], max);
    if (i > 0 && before >= bound) l[order[i]] = -INFINITY;
    before += weight;
  }
}

// What the row draws from; a greedy row its logits as they are.
static std::vector<float> process_row(const bz_sample_args &a, uint32_t r) {
  const uint32_t n = a.logits.cols;
  const auto *logits = static_cast<const float *>(a.logits.data) + r * a.logits.stride;
  std::vector<float> l(logits, logits + n);
  if (a.temperature[r] < bz::GREEDY_BELOW) return l;
  for (float &x : l) x /= a.temperature[r];
  const float max = *std::max_element(l.begin(), l.end());
  if (std::isinf(max)) return l;
  if (a.min_p[r] > 0) {
    const float threshold = bz::min_p_threshold(max, a.min_p[r]);
    for (float &x : l) if (x < threshold) x = -INFINITY;
  }
  if (a.top_k[r] > 0 && static_cast<uint32_t>(a.top_k[r]) < n) keep_top_k(l, static_cast<uint32_t>(a.top_k[r]));
  if (a.top_p[r] < 1) keep_top_p(l, max, a.top_p[r]);
  return l;
}

// Murmur3, 32 bits, as it is published: bytes in, with nothing computed ahead. Its own code, so that it is an oracle of
// the hash in common/sampling.h, which the CPU library computes in parts.
static uint32_t murmur3(const uint8_t *bytes, uint32_t length, uint32_t hash) {
  const auto rotate = [](uint32_t x, int bits) { return x << bits | x >> (32 - bits); };
  const auto mix = [&](uint32_t k) { return rotate(k * 0xcc9e2d51u, 15) * 0x1b873593u; };
  uint32_t i = 0;
  for (; i + 4 <= length; i += 4) {
    uint32_t k = 0;
    for (uint32_t j = 0; j < 4; j++) k |= uint32_t{bytes[i + j]} << (8 * j);
    hash = rotate(hash ^ mix(k), 13) * 5 + 0xe6546b64u;
  }
  uint32_t tail = 0;
  for (uint32_t j = 0; i + j < length; j++) tail |= uint32_t{bytes[i + j]} << (8 * j);
  if (i < length) hash ^= mix(tail);
  hash ^= length;
  hash = (hash ^ hash >> 16) * 0x85ebca6bu;
  hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
  return hash ^ hash >> 16;
}

// The hash of (seed, position, token id, tag) as five little endian words.
static uint32_t draw_hash(uint64_t seed, int32_t position, uint32_t token) {
  const uint32_t words[5] = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32),
                             static_cast<uint32_t>(position), token, bz::DRAW_TAG};
  uint8_t bytes[20];
  for (uint32_t i = 0; i < 20; i++) bytes[i] = static_cast<uint8_t>(words[i / 4] >> (8 * (i % 4)));
  return murmur3(bytes, sizeof bytes, 0);
}

static int32_t draw(const bz_sample_args &a, uint32_t r, const std::vector<float> &l) {
  const uint32_t n = a.logits.cols;
  if (a.temperature[r] < bz::GREEDY_BELOW) return argmax(l.data(), n);
  uint32_t best = 0;
  double best_score = -INFINITY;
  for (uint32_t i = 0; i < n; i++) {
    const double score = bz::gumbel_score(l[i], draw_hash(a.seeds[r], a.positions[r], i));
    if (score > best_score) best_score = score, best = i;
  }
  return static_cast<int32_t>(best);
}

static bz_status sample_row(const bz_sample_args &a, uint32_t r) {
  const auto *logits = static_cast<const float *>(a.logits.data) + r * a.logits.stride;
  a.out[r] = 0;
  for (uint32_t i = 0; i < a.logits.cols; i++)
    BZ_REQUIRE(!std::isnan(logits[i]), BZ_ENUMERIC, "sample: logit %u of row %u is NaN", i, r);
  const std::vector<float> l = process_row(a, r);
  a.out[r] = draw(a, r, l);
  if (a.out_processed.data != nullptr)
    std::copy(l.begin(), l.end(), static_cast<float *>(a.out_processed.data) + r * a.out_processed.stride);
  return BZ_OK;
}

bz_status bz::run(const bz_sample_args &a) {
  for (uint32_t r = 0; r < a.num_requests; r++) {
    const bz_status status = sample_row(a, r);
    if (a.row_status != nullptr) a.row_status[r] = status;
    else BZ_TRY(status);
  }
  return BZ_OK;
}
