// Working memory of a thread that samples: a row's scaled logits and weights, its candidates, and its sections' maxima.
#pragma once
#include <cstdint>

namespace bz {

struct SamplingScratch {
  uint64_t *keys;      // [V]
  double *weights;     // [V]
  float *logits;       // [V]
  float *exponentials; // [V]
  float *sections;     // [V / 64 + 1]
};

static inline uint64_t sampling_scratch_bytes(uint64_t vocab_size) {
  return (vocab_size * (8 + 8 + 4 + 4) + (vocab_size / 64 + 1) * 4 + 5 * 64 + 63) / 64 * 64;
}

static inline SamplingScratch sampling_scratch(void *base, uint64_t vocab_size) {
  char *at = static_cast<char *>(base);
  const auto take = [&](uint64_t bytes) {
    char *from = at;
    at += (bytes + 63) / 64 * 64;
    return static_cast<void *>(from);
  };
  SamplingScratch s;
  s.keys = static_cast<uint64_t *>(take(vocab_size * 8));
  s.weights = static_cast<double *>(take(vocab_size * 8));
  s.logits = static_cast<float *>(take(vocab_size * 4));
  s.exponentials = static_cast<float *>(take(vocab_size * 4));
  s.sections = static_cast<float *>(take((vocab_size / 64 + 1) * 4));
  return s;
}

} // namespace bz
