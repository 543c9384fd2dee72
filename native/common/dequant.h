// What the rows of a checkpoint mean, format by format.
//
// A block format is decoded in one place (decode_row) into codes, group scales and group minimums; dequantization and
// every packed layout are built on that. The value of a code is  scale * level(code) + min,  level(code) being
// code - offset or the codebook's entry. Scales and minimums are exact: float16 values of the file, or float32 products
// of them and small integers.
// Source: the GGUF specification and the block layouts it names.
#pragma once
#include <cstdint>

#include "../include/baozi.h"

namespace bz {

struct DtypeInfo {
  const char *name;
  uint32_t block;         // columns a block; 1 for floats
  uint32_t block_bytes;
  uint32_t group;         // columns that share a scale; 0 for floats
  uint32_t code_bits;     // 4 when every code is below 16, else 8
  int32_t offset;         // level of code 0 is -offset
  bool is_codebook;       // levels come from codebook_levels
  bool has_min;
  bool has_half_scales;   // scales (and minimums) are float16 values of the file
};

// NULL when no weight can have this dtype.
const DtypeInfo *dtype_info(uint32_t dtype);

// The 16 levels of IQ4_NL and IQ4_XS.
extern const int8_t codebook_levels[16];

// Bytes of n rows of c columns. False when c is not a multiple of the block, or the product overflows.
bool rows_bytes(const DtypeInfo &info, uint64_t n, uint64_t c, uint64_t *out_bytes);

inline int32_t code_level(const DtypeInfo &info, uint8_t code) {
  return info.is_codebook ? codebook_levels[code & 15] : int32_t(code) - info.offset;
}

// Decodes a row of a block format: codes [c], scales and mins [c / group] (mins are zeros when the format has none).
void decode_row(uint32_t dtype, const uint8_t *src, uint64_t c, uint8_t *codes, float *scales, float *mins);

// Widens a row of any weight dtype to float32 [c]. `src` may have any alignment.
void dequantize_row(uint32_t dtype, const uint8_t *src, uint64_t c, float *out);

} // namespace bz
