// The table of kernels of one instruction set level.
//
// Every file in kernels/ is compiled once a level, with BZ_LEVEL naming the namespace (scalar, avx2, avx512,
// avx512_vnni, amx, neon) and the compiler's flags for it. Rules for these files:
//   - code lives in namespace bz::BZ_LEVEL, or has internal linkage (static, unnamed namespace);
//   - no library templates that could be emitted out of line (std::sort, std::vector): the linker keeps one copy of
//     such a function, and the one it keeps may use instructions that the processor lacks. The build checks this.
// To add a team function: a line in BZ_TEAM_KERNELS and a file in kernels/ that defines it.
#pragma once
#include "team.h"

// Ops whose table entry is void op(const bz_op_args &, Team &).
#define BZ_TEAM_KERNELS(X) \
  X(rms_norm)              \
  X(gated_act)             \
  X(rope_kv)               \
  X(attention)             \
  X(gather_rows)           \
  X(add)                   \
  X(mem_copy)              \
  X(logits_process)        \
  X(sample)                \
  X(logprobs)

namespace bz {

struct LimitKernels;  // of measurements: limit_kernels.h
struct LinearKernels; // of weights, linear and embedding: linear_kernels.h

struct Kernels {
#define BZ_FIELD(op) void (*op)(const bz_##op##_args &, Team &);
  BZ_TEAM_KERNELS(BZ_FIELD)
#undef BZ_FIELD
  const LinearKernels *linear;
  const LimitKernels *limits;
};

#if defined(BZ_LEVEL)
namespace BZ_LEVEL {
#define BZ_DECLARE(op) void op(const bz_##op##_args &args, Team &team);
BZ_TEAM_KERNELS(BZ_DECLARE)
#undef BZ_DECLARE
extern const LinearKernels linear_kernels; // defined by the file in kernels/ that holds the products
extern const LimitKernels limit_kernels;
extern const Kernels kernels;
} // namespace BZ_LEVEL
#endif

} // namespace bz
