// How the CPU library holds a weight.
//
// A weight is one or more segments: runs of output rows in one packed format. Rows go in blocks of 16, a vector lane
// each, so that a product needs no sum across lanes. The last block of a segment is filled up with zero rows, columns
// are filled up with zeros to a whole number of steps. Of one block, in memory order:
//   f32        [columns][16]                 the layout oneDNN calls BA16a16b
//   bf16, f16  [columns / 2][16][2]          bf16: oneDNN's BA16a16b2a
//   int8       [columns / 4][16][4]          signed levels: a vector holds 4 columns of each row, for vpdpbusd
//   int4       [columns / 8][16][4]          codes; of 8 columns the first 4 are low halves, the last 4 high halves
// Scales and minimums of int8 and int4 lie apart: [block][column group][16], float16 or float32.
#pragma once
#include <cstddef>

#include "../include/baozi.h"

namespace bz {

constexpr uint32_t LANES = 16;       // output rows a block
constexpr uint32_t GROUP = 32;       // columns that share an activation scale
constexpr uint32_t MAX_SEGMENTS = 16;

enum class Storage : uint32_t { f32, f16, bf16, int8, int4 };

struct PackedFormat {
  Storage storage;
  uint32_t group;         // columns a scale: 16 or 32; 0 for floats
  uint32_t offset;        // int4: level = code - offset
  bool is_codebook;       // int4: level = codebook_levels[code]
  bool has_min;
  bool has_half_scales;

  [[gnu::always_inline]] bool operator==(const PackedFormat &) const = default;
  bool is_float() const { return group == 0; }
};

struct Segment {
  PackedFormat format;
  uint32_t first_row, num_rows, num_blocks;
  uint32_t first_block;   // blocks of the segments before this one
  uint32_t c_padded;
  const std::byte *values;
  const std::byte *scales;
  const std::byte *mins;

  uint64_t block_value_bytes() const;
  uint64_t block_scale_bytes() const; // 0 for floats
};

// Columns as stored: a whole number of steps of the format.
uint32_t padded_columns(const PackedFormat &format, uint32_t c);

} // namespace bz

struct bz_weight {
  uint32_t n, c;
  uint32_t num_experts;   // 0: a matrix
  uint32_t num_segments;
  uint32_t num_blocks;    // of all segments
  bool is_float;          // every segment is
  uint64_t bytes;
  std::byte *memory;      // what the segments point into; nullptr: a planned weight
  bz::Segment segments[bz::MAX_SEGMENTS];
};
