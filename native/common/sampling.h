// The arithmetic of sampling, fixed to the bit so that every library draws the same token from the same logits.
//
// - A survivor's weight is exp(l - max) by the operations below (float32 products and sums, none fused), rounded to a
//   multiple of 2^-34. Sums of up to 2^19 such weights are exact in float64: they do not depend on the order, so top-p
//   cuts at the same token however the candidates were found.
// - Candidates are ordered by logit, the lower id first among equals; sort_key() states that order in one integer.
// - The Gumbel score of a token is computed in float64 from the hash of (seed, position, token id).
// Internal linkage: kernels of every instruction set include this file. Compile its users with -ffp-contract=off.
#pragma once
#include <cmath>
#include <cstdint>

#include "dtype.h"

namespace bz {

// Below it a weight rounds to 0.
constexpr float LOWEST_EXPONENT = -25.0f;

// exp(x) for x in [LOWEST_EXPONENT, 0], to 2 ulp. Source: the reduction and the minimax coefficients of Cephes expf.
constexpr float EXP_LOG2E = 1.44269504088896341f, EXP_ROUND = 12582912.0f; // 1.5 * 2^23: adding it rounds to an integer
constexpr float EXP_LN2_HIGH = 0.693359375f, EXP_LN2_LOW = -2.12194440e-4f;
constexpr float EXP_POLY[6] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                               4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};

static inline float sampling_exp(float x) {
  const float n = (x * EXP_LOG2E + EXP_ROUND) - EXP_ROUND;
  float r = x - n * EXP_LN2_HIGH;
  r = r - n * EXP_LN2_LOW;
  float p = EXP_POLY[0];
  for (int i = 1; i < 6; i++) p = p * r + EXP_POLY[i];
  p = (p * (r * r) + r) + 1.0f;
  return bits_f32(f32_bits(p) + (static_cast<uint32_t>(static_cast<int32_t>(n)) << 23));
}

// The weight of logit l in a row whose largest is max.
constexpr double WEIGHT_ROUND = 393216.0; // 1.5 * 2^18: float64 values there are multiples of 2^-34

static inline double sampling_weight(float l, float max) {
  if (l == max) return 1.0; // infinite ones too
  const float x = l - max;
  if (!(x >= LOWEST_EXPONENT)) return 0.0;
  return (static_cast<double>(sampling_exp(x)) + WEIGHT_ROUND) - WEIGHT_ROUND;
}

// Unsigned order of the result is the order of the floats.
static inline uint32_t ordered_bits(float x) {
  const uint32_t bits = f32_bits(x == 0 ? 0.0f : x); // both zeros are equal
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// Larger keys come first: by logit, then the lower id.
static inline uint64_t sort_key(float l, uint32_t id) {
  return (static_cast<uint64_t>(ordered_bits(l)) << 32) | static_cast<uint32_t>(~id);
}
static inline uint32_t key_id(uint64_t key) { return ~static_cast<uint32_t>(key); }

// Murmur3's 32-bit hash, block by block. Source: the public-domain MurmurHash3_x86_32.
static inline uint32_t rotate_left(uint32_t x, int bits) { return (x << bits) | (x >> (32 - bits)); }

static inline uint32_t murmur_block(uint32_t hash, uint32_t word) {
  word = rotate_left(word * 0xcc9e2d51u, 15) * 0x1b873593u;
  return rotate_left(hash ^ word, 13) * 5 + 0xe6546b64u;
}

static inline uint32_t murmur_finish(uint32_t hash, uint32_t bytes) {
  hash ^= bytes;
  hash = (hash ^ (hash >> 16)) * 0x85ebca6bu;
  hash = (hash ^ (hash >> 13)) * 0xc2b2ae35u;
  return hash ^ (hash >> 16);
}

constexpr uint32_t DRAW_TAG = 0x62616f7a; // the last of the five words
constexpr uint32_t DRAW_BYTES = 20;

// The part of the hash that all tokens of a row share.
static inline uint32_t draw_prefix(uint64_t seed, int32_t position) {
  uint32_t hash = murmur_block(0, static_cast<uint32_t>(seed));
  hash = murmur_block(hash, static_cast<uint32_t>(seed >> 32));
  return murmur_block(hash, static_cast<uint32_t>(position));
}

static inline uint32_t draw_hash(uint32_t prefix, uint32_t token) {
  return murmur_finish(murmur_block(murmur_block(prefix, token), DRAW_TAG), DRAW_BYTES);
}

// l - ln(-ln(u)) with u = (hash + 1/2) / 2^32.
static inline double gumbel_score(float l, uint32_t hash) {
  const double u = (static_cast<double>(hash) + 0.5) * 0x1p-32;
  return static_cast<double>(l) - std::log(-std::log(u));
}

// The threshold of min_p on scaled logits.
static inline float min_p_threshold(float max, float min_p) {
  return max + static_cast<float>(std::log(static_cast<double>(min_p)));
}

constexpr float GREEDY_BELOW = 1e-5f; // temperatures under it mean the largest logit

} // namespace bz
