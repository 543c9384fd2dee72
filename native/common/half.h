/* half.h: scalar conversions between float32 and the two 16-bit floats. Rounding is to nearest even; NaN stays NaN. */
#pragma once
#include <cstdint>
#include <cstring>

namespace bz {

inline float float_of_bits(uint32_t bits) {
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}

inline uint32_t bits_of_float(float f) {
  uint32_t bits;
  std::memcpy(&bits, &f, 4);
  return bits;
}

inline float float_of_bf16(uint16_t h) { return float_of_bits(uint32_t(h) << 16); }

inline uint16_t bf16_of_float(float f) {
  const uint32_t bits = bits_of_float(f);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return uint16_t((bits >> 16) | 0x40u);
  return uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

inline float float_of_half(uint16_t h) {
  const uint32_t sign = uint32_t(h & 0x8000u) << 16;
  const uint32_t rest = h & 0x7fffu;
  if (rest >= 0x7c00u) return float_of_bits(sign | 0x7f800000u | ((rest & 0x3ffu) << 13));
  if (rest >= 0x0400u) return float_of_bits(sign | ((rest << 13) + (112u << 23)));
  // Subnormal: rest * 2^-24, exact in float32.
  return float_of_bits(sign | bits_of_float(float(rest) * 0x1p-24f));
}

inline uint16_t half_of_float(float f) {
  const uint32_t bits = bits_of_float(f);
  const uint16_t sign = uint16_t((bits >> 16) & 0x8000u);
  const uint32_t rest = bits & 0x7fffffffu;
  if (rest > 0x7f800000u) return uint16_t(sign | 0x7e00u);
  if (rest >= 0x477ff000u) return uint16_t(sign | 0x7c00u);  // rounds to 65536 or more
  if (rest >= 0x38800000u) {
    const uint32_t rounded = rest + 0xfffu + ((rest >> 13) & 1u);
    return uint16_t(sign | ((rounded - (112u << 23)) >> 13));
  }
  // Below 2^-14: adding 0.5 leaves the half's units of 2^-24 in the low mantissa bits, rounded by the addition itself.
  const float shifted = float_of_bits(rest) + 0.5f;
  return uint16_t(sign | (bits_of_float(shifted) - 0x3f000000u));
}

}  // namespace bz
