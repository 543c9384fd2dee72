// The last group of a row may be short. What is not a number makes its group's scale or levels senseless, and harms
// nobody else.
#include "quantize.h"

#include <cmath>
#include <cstring>

#include "dtype.h"

namespace bz {
namespace {

typedef float Lanes __attribute__((vector_size(16))); // sums in one fixed order on every machine
constexpr uint32_t NUM_LANES = 4, VECTORS = QUANTIZE_GROUP / NUM_LANES;
constexpr float ROUNDER = 12582912.0f; // adding 1.5 * 2^23 and taking it off rounds to the nearest integer

float total(Lanes v) { return (v[0] + v[1]) + (v[2] + v[3]); }

float as_half(float x) { return f16_to_f32(f32_to_f16(x)); }

// Written so that a NaN, which no comparison accepts, becomes `lowest`.
float level_of(float x, float lowest, float highest) {
  const float rounded = (x + ROUNDER) - ROUNDER;
  return rounded >= lowest ? (rounded > highest ? highest : rounded) : lowest;
}

struct Fit {
  float scale, min;
};

// Least squares of y = scale * level + min, where the levels are y * inverse, rounded and cut off at 15. y >= 0, and
// values past the group's n are 0: so are their levels. `gain`: what the fit takes off the squared error.
Fit fit_levels(const Lanes *y, float n, float sum, float inverse, float *gain) {
  Lanes levels = {}, squares = {}, products = {};
  for (uint32_t i = 0; i < VECTORS; i++) {
    const Lanes rounded = (y[i] * inverse + ROUNDER) - ROUNDER;
    const Lanes level = rounded < 15.0f ? rounded : Lanes{} + 15.0f;
    levels += level;
    squares += level * level;
    products += level * y[i];
  }
  const float mean = total(levels) / n;
  const float variance = total(squares) - total(levels) * mean, covariance = total(products) - sum * mean;
  const float scale = variance > 0 ? covariance / variance : 0;
  *gain = scale * covariance;
  return {scale, (sum - scale * total(levels)) / n};
}

void quantize_group_int4(const float *src, uint64_t n, uint8_t *codes, float *scale, float *min) {
  float lowest = src[0], highest = src[0];
  for (uint64_t i = 1; i < n; i++) {
    lowest = src[i] < lowest ? src[i] : lowest;
    highest = src[i] > highest ? src[i] : highest;
  }
  float from_lowest[QUANTIZE_GROUP] = {}, sum = 0;
  for (uint64_t i = 0; i < n; i++) from_lowest[i] = src[i] - lowest;
  Lanes y[VECTORS], sums = {};
  std::memcpy(y, from_lowest, sizeof y);
  for (const Lanes &each : y) sums += each;
  sum = total(sums);
  const float count = static_cast<float>(n), range = highest - lowest;
  Fit best = {0, sum / count}; // of equal values
  float most = 0;
  // From levels that reach past the largest value to levels that cut it off.
  for (float steps = 13.5f; range > 0 && steps <= 16.5f; steps += 0.5f) {
    float gain;
    const Fit fit = fit_levels(y, count, sum, steps / range, &gain);
    if (gain > most) best = fit, most = gain;
  }
  *scale = as_half(best.scale);
  *min = as_half(best.min + lowest);
  const float inverse = *scale > 0 ? 1.0f / *scale : 0;
  for (uint64_t i = 0; i < n; i++) codes[i] = static_cast<uint8_t>(level_of((src[i] - *min) * inverse, 0, 15));
}

} // namespace

void quantize_row_int8(const float *src, uint64_t c, uint8_t *codes, float *scales) {
  for (uint64_t g = 0; g * QUANTIZE_GROUP < c; g++) {
    const uint64_t first = g * QUANTIZE_GROUP, end = first + QUANTIZE_GROUP < c ? first + QUANTIZE_GROUP : c;
    float largest = 0;
    for (uint64_t i = first; i < end; i++) largest = std::fabs(src[i]) > largest ? std::fabs(src[i]) : largest;
    scales[g] = as_half(largest / 127.0f);
    const float inverse = scales[g] > 0 ? 1.0f / scales[g] : 0;
    for (uint64_t i = first; i < end; i++)
      codes[i] = static_cast<uint8_t>(INT8_OFFSET + static_cast<int32_t>(level_of(src[i] * inverse, -127, 127)));
  }
}

void quantize_row_int4(const float *src, uint64_t c, uint8_t *codes, float *scales, float *mins) {
  for (uint64_t g = 0; g * QUANTIZE_GROUP < c; g++) {
    const uint64_t first = g * QUANTIZE_GROUP, n = first + QUANTIZE_GROUP < c ? QUANTIZE_GROUP : c - first;
    quantize_group_int4(src + first, n, codes + first, &scales[g], &mins[g]);
  }
}

} // namespace bz
