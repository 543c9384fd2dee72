// The table of kernels of one instruction set level.
//
// Every file in kernels/ is compiled once a level, with BZ_LEVEL naming the namespace (scalar, avx2, avx512,
// avx512_vnni, amx, neon) and the compiler's flags for it. Rules for these files:
//   - code lives in namespace bz::BZ_LEVEL, or has internal linkage (static, unnamed namespace);
//   - no library templates that could be emitted out of line (std::sort, std::vector): the linker keeps one copy of
//     such a function, and the one it keeps may use instructions that the processor lacks. The build checks this.
// The table has an entry for each op that takes no weight: void op(const bz_op_args &, Team &), defined by a file in
// kernels/. Their args have been checked; matrices are float32.
#pragma once
#include "matrix.h"
#include "ops.h"
#include "team.h"

namespace bz {

struct LimitKernels;  // of measurements: limit_kernels.h
struct LinearKernels; // of weights, linear and embedding: linear_kernels.h

struct Kernels {
#define BZ_FIELD(op, count) void (*op)(const bz_##op##_args &, Team &);
  BZ_MATRIX_OPS(BZ_FIELD)
#undef BZ_FIELD
  void (*copy)(const bz_copy_args &, Team &);
  const LinearKernels *linear;
  const LimitKernels *limits;
};

#if defined(BZ_LEVEL)
namespace BZ_LEVEL {
#define BZ_DECLARE(op, count) void op(const bz_##op##_args &args, Team &team);
BZ_MATRIX_OPS(BZ_DECLARE)
#undef BZ_DECLARE
void copy(const bz_copy_args &args, Team &team);
extern const LinearKernels linear_kernels; // defined by the file in kernels/ that holds the products
extern const LimitKernels limit_kernels;
extern const Kernels kernels;
} // namespace BZ_LEVEL
#endif

} // namespace bz
