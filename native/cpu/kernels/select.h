// Selection and sorting of candidates by key, without the library's templates (see kernels.h).
// A key states a candidate's place: larger comes first, no two are equal (native/common/sampling.h).
#pragma once
#include "../../common/sampling.h"
#include "vec.h"

namespace bz::BZ_LEVEL {

static inline uint64_t median_index(const uint64_t *keys, uint64_t a, uint64_t b, uint64_t c) {
  if (keys[a] > keys[b]) { const uint64_t t = a; a = b; b = t; }
  return keys[c] < keys[a] ? a : keys[c] > keys[b] ? b : c;
}

static inline void swap_keys(uint64_t *keys, uint64_t i, uint64_t j) {
  const uint64_t key = keys[i];
  keys[i] = keys[j];
  keys[j] = key;
}

// Puts a pivot to the place it has in descending order, the larger keys before it. Returns its place. n >= 1.
static inline uint64_t partition_keys(uint64_t *keys, uint64_t n) {
  swap_keys(keys, median_index(keys, 0, n / 2, n - 1), n - 1);
  const uint64_t pivot = keys[n - 1];
  uint64_t front = 0;
  for (uint64_t i = 0; i + 1 < n; i++) {
    swap_keys(keys, i, front);
    front += keys[front] > pivot;
  }
  swap_keys(keys, front, n - 1);
  return front;
}

// Moves the k largest of n keys to the front, in any order, the smallest of them last. 1 <= k <= n.
static inline void select_largest(uint64_t *keys, uint64_t n, uint64_t k) {
  uint64_t begin = 0, end = n; // the place k - 1 lies in [begin, end)
  while (end - begin > 1) {
    const uint64_t place = begin + partition_keys(keys + begin, end - begin);
    if (place == k - 1) return;
    if (place < k - 1) begin = place + 1;
    else end = place;
  }
}

static inline void sort_descending(uint64_t *keys, uint64_t n) {
  while (n > 16) {
    const uint64_t place = partition_keys(keys, n);
    sort_descending(keys, place);
    keys += place + 1, n -= place + 1;
  }
  for (uint64_t i = 1; i < n; i++) {
    const uint64_t key = keys[i];
    uint64_t j = i;
    for (; j > 0 && keys[j - 1] < key; j--) keys[j] = keys[j - 1];
    keys[j] = key;
  }
}

// A row in sections, each with its largest value: passes over the row skip the sections that lie below what they look
// for.
constexpr uint64_t SECTION = 64;

static inline uint64_t num_sections(uint64_t n) { return (n + SECTION - 1) / SECTION; }

// W values from i on; past the end -inf.
BZ_INLINE F load_lanes(const float *l, uint64_t i, uint64_t n) {
  return i + W <= n ? load(l + i) : load_first(l + i, n - i, -INFINITY);
}

struct RowMax {
  float max;
  bool has_nan;
};

// The largest value of l / temperature, of the row and of each section. With `out`, the quotients are stored there.
static inline RowMax row_max(const float *l, uint64_t n, float *sections, float temperature = 1, float *out = nullptr) {
  F all = set(-INFINITY);
  I nan = {};
  for (uint64_t begin = 0; begin < n; begin += SECTION) {
    const uint64_t end = begin + SECTION < n ? begin + SECTION : n;
    F top = set(-INFINITY);
    for (uint64_t i = begin; i < end; i += W) {
      F v = load_lanes(l, i, end);
      if (out != nullptr) {
        v = v / temperature;
        if (i + W <= end) store(out + i, v);
        else store_first(out + i, end - i, v);
      }
      top = max(v, top);
      nan |= v != v;
    }
    sections[begin / SECTION] = max_lanes(top);
    all = max(top, all);
  }
  return {max_lanes(all), lane_bits(nan) != 0};
}

static inline uint32_t find_value(const float *l, uint64_t n, float value) {
  uint64_t i = 0;
  for (; i + W <= n; i += W) {
    const uint32_t hits = lane_bits(load(l + i) == value);
    if (hits != 0) return static_cast<uint32_t>(i) + static_cast<uint32_t>(__builtin_ctz(hits));
  }
  while (i < n && l[i] != value) i++;
  return static_cast<uint32_t>(i < n ? i : 0);
}

// Keys of all values >= least and above -inf, in rising id. Returns the count.
static inline uint64_t collect(const float *l, uint64_t n, const float *sections, float least, uint64_t *keys) {
  const float bound = least > -3.402823466e38f ? least : -3.402823466e38f;
  uint64_t count = 0;
  for (uint64_t begin = 0; begin < n; begin += SECTION) {
    if (sections[begin / SECTION] < bound) continue;
    const uint64_t end = begin + SECTION < n ? begin + SECTION : n;
    for (uint64_t i = begin; i < end; i += W) {
      for (uint32_t hits = lane_bits(load_lanes(l, i, end) >= bound); hits != 0; hits &= hits - 1) {
        const uint64_t id = i + static_cast<uint64_t>(__builtin_ctz(hits));
        keys[count++] = sort_key(l[id], static_cast<uint32_t>(id));
      }
    }
  }
  return count;
}

// A value that at least k of the row's values reach, close to the k-th largest: the k-th largest of the sections'
// maxima. `keys` is working memory for num_sections(n) keys. -inf when k is too large to tell.
static inline float reached_by(const float *sections, uint64_t n, uint64_t k, uint64_t *keys) {
  const uint64_t count = num_sections(n);
  if (k > count) return -INFINITY;
  for (uint64_t i = 0; i < count; i++) keys[i] = sort_key(sections[i], static_cast<uint32_t>(i));
  select_largest(keys, count, k);
  return sections[key_id(keys[k - 1])];
}

} // namespace bz::BZ_LEVEL
