// Element types: names, sizes and conversions to and from float32. Internal linkage: kernels compiled for several
// instruction sets include this file, and must not share code that the linker may pick from the wrong one.
#pragma once
#include <cstdint>
#include <cstring>

#include "../include/baozi.h"

namespace bz {

static inline uint32_t f32_bits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}

static inline float bits_f32(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

static inline float bf16_to_f32(uint16_t x) { return bits_f32(static_cast<uint32_t>(x) << 16); }

// Round to nearest even; NaN stays NaN.
static inline uint16_t f32_to_bf16(float x) {
  const uint32_t bits = f32_bits(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16);
}

static inline float f16_to_f32(uint16_t x) {
  const uint32_t sign = static_cast<uint32_t>(x & 0x8000) << 16;
  const uint32_t exponent = (x >> 10) & 31, mantissa = x & 1023;
  if (exponent == 31) return bits_f32(sign | 0x7f800000u | (mantissa << 13));
  if (exponent != 0) return bits_f32(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float tiny = static_cast<float>(mantissa) * 0x1p-24f; // subnormal: exact in float32
  return bits_f32(sign | f32_bits(tiny));
}

// Round to nearest even; values past the largest float16 become infinite.
static inline uint16_t f32_to_f16(float x) {
  const uint32_t bits = f32_bits(x), sign = (bits >> 16) & 0x8000, rest = bits & 0x7fffffffu;
  if (rest > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00);
  if (rest >= 0x47800000u) return static_cast<uint16_t>(sign | 0x7c00);
  if (rest < 0x38800000u) { // subnormal or zero: the float adder does the rounding
    const uint32_t half = f32_bits(bits_f32(rest) + 0.5f) - f32_bits(0.5f);
    return static_cast<uint16_t>(sign | half);
  }
  const uint32_t rounded = rest - 0x38000000u + 0xfffu + ((rest >> 13) & 1);
  return static_cast<uint16_t>(sign | (rounded >> 13));
}

// Bytes of one element, 0 for block formats and unknown values.
static inline uint32_t dtype_bytes(uint32_t dtype) {
  switch (dtype) {
    case BZ_F32: case BZ_I32: case BZ_U32: return 4;
    case BZ_F16: case BZ_BF16: return 2;
    case BZ_I8: case BZ_U8: case BZ_F8_E4M3: return 1;
    case BZ_U64: return 8;
    default: return 0;
  }
}

static inline const char *dtype_name(uint32_t dtype) {
  switch (dtype) {
    case BZ_F32: return "f32";
    case BZ_F16: return "f16";
    case BZ_BF16: return "bf16";
    case BZ_I32: return "i32";
    case BZ_I8: return "i8";
    case BZ_U8: return "u8";
    case BZ_U32: return "u32";
    case BZ_U64: return "u64";
    case BZ_F8_E4M3: return "f8_e4m3";
    case BZ_Q4_0: return "q4_0";
    case BZ_Q4_1: return "q4_1";
    case BZ_Q5_0: return "q5_0";
    case BZ_Q5_1: return "q5_1";
    case BZ_Q8_0: return "q8_0";
    case BZ_Q2_K: return "q2_k";
    case BZ_Q3_K: return "q3_k";
    case BZ_Q4_K: return "q4_k";
    case BZ_Q5_K: return "q5_k";
    case BZ_Q6_K: return "q6_k";
    case BZ_IQ4_NL: return "iq4_nl";
    case BZ_IQ4_XS: return "iq4_xs";
    default: return "unknown";
  }
}

} // namespace bz
