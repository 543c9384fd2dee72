// This level's table of kernels.
#include "../kernels.h"

namespace bz::BZ_LEVEL {

#define BZ_ENTRY(op, count) .op = op,
extern const Kernels kernels = {BZ_MATRIX_OPS(BZ_ENTRY)
                                    .copy = copy,
#if __has_include("../linear_kernels.h")
                                    .linear = &linear_kernels,
#endif
                                    .limits = &limit_kernels};
#undef BZ_ENTRY

} // namespace bz::BZ_LEVEL
