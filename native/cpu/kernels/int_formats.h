// The packed integer formats as types, so that each gets a product of its own.
#pragma once
#include "../../common/dequant.h"
#include "../packed_weight.h"
#include "lanes.h"

namespace bz {
namespace {

template <Storage STORAGE, uint32_t GROUP_SIZE, uint32_t OFFSET, bool CODEBOOK, bool MIN, bool HALF> struct IntFormat {
  static constexpr PackedFormat format = {STORAGE, GROUP_SIZE, OFFSET, CODEBOOK, MIN, HALF};
  static constexpr uint64_t group_bytes = uint64_t{GROUP_SIZE} * LANES / (STORAGE == Storage::int4 ? 2 : 1);
  static_assert(OFFSET == 0 || OFFSET == 4 || OFFSET == 8);

  static constexpr uint64_t scale_bytes = LANES * (HALF ? 2 : 4); // of a group

  // Asks for what lies so many bytes behind a group's values, and for its scales. Memory alone does not look far enough
  // ahead: this brought 10.5 GB/s a thread to 13 on a Sapphire Rapids, and int4 5 % on a Zen 3. Past the end it does
  // nothing.
  static inline void ask_ahead(const std::byte *values, const std::byte *scales, const std::byte *mins,
                               uint64_t group) {
    constexpr uint64_t BYTES = 4096, GROUPS = BYTES / group_bytes;
    for (uint64_t i = 0; i < group_bytes; i += 64) __builtin_prefetch(values + group * group_bytes + BYTES + i);
    __builtin_prefetch(scales + (group + GROUPS) * scale_bytes);
    if constexpr (MIN) __builtin_prefetch(mins + (group + GROUPS) * scale_bytes);
  }

  static inline Floats scales(const std::byte *p, uint64_t group) {
    if constexpr (HALF) return load_f16(reinterpret_cast<const uint16_t *>(p) + group * LANES);
    else return load_f32(reinterpret_cast<const float *>(p) + group * LANES);
  }
};

//                                     storage    group offset codebook min   float16 scales
using IntQ8 = IntFormat<Storage::int8, 32, 0, false, false, true>;       // Q8_0, Q5_0, int8 from floats
using IntQ8Min = IntFormat<Storage::int8, 32, 0, false, true, true>;     // Q5_1
using IntQ8MinF = IntFormat<Storage::int8, 32, 0, false, true, false>;   // Q5_K
using IntQ8F16 = IntFormat<Storage::int8, 16, 0, false, false, false>;   // Q6_K
using IntQ4 = IntFormat<Storage::int4, 32, 8, false, false, true>;       // Q4_0, int4 from floats
using IntQ4Min = IntFormat<Storage::int4, 32, 0, false, true, true>;     // Q4_1
using IntQ4MinF = IntFormat<Storage::int4, 32, 0, false, true, false>;   // Q4_K
using IntQ4Book = IntFormat<Storage::int4, 32, 0, true, false, true>;    // IQ4_NL
using IntQ4BookF = IntFormat<Storage::int4, 32, 0, true, false, false>;  // IQ4_XS
using IntQ2MinF = IntFormat<Storage::int4, 16, 0, false, true, false>;   // Q2_K
using IntQ3F = IntFormat<Storage::int4, 16, 4, false, false, false>;     // Q3_K

// Calls visit.template operator()<Format>() with the type of a segment's format.
template <class Visit> inline void visit_format(const PackedFormat &format, Visit visit) {
  const auto try_one = [&]<class F>(F *) {
    if (!(F::format == format)) return false;
    visit.template operator()<F>();
    return true;
  };
  // A format without a product is a mistake of ours: it must not leave the output as it was.
  const auto try_all = [&]<class... F>(F *...formats) {
    if (!(try_one(formats) || ...)) __builtin_trap();
  };
  try_all(static_cast<IntQ8 *>(nullptr), static_cast<IntQ8Min *>(nullptr), static_cast<IntQ8MinF *>(nullptr),
          static_cast<IntQ8F16 *>(nullptr), static_cast<IntQ4 *>(nullptr), static_cast<IntQ4Min *>(nullptr),
          static_cast<IntQ4MinF *>(nullptr), static_cast<IntQ4Book *>(nullptr), static_cast<IntQ4BookF *>(nullptr),
          static_cast<IntQ2MinF *>(nullptr), static_cast<IntQ3F *>(nullptr));
}

} // namespace
} // namespace bz
