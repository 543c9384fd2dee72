// The table of kernels of one instruction set level.
//
// Every file in kernels/ is compiled once a level, with BZ_LEVEL naming the namespace (scalar, avx2, avx512,
// avx512_vnni, amx, neon) and the compiler's flags for it. Rules for these files:
//   - code lives in namespace bz::BZ_LEVEL, or has internal linkage (static, unnamed namespace);
//   - no library templates that could be emitted out of line (std::sort, std::vector): the linker keeps one copy of
//     such a function, and the one it keeps may use instructions that the processor lacks. The build checks this.
// To add a team function: a line in BZ_TEAM_KERNELS and a file in kernels/ that defines it.
#pragma once
#include "op_args.h"
#include "team.h"

// Ops whose table entry is void op(const Args &, Team &), and their Args.
#define BZ_TEAM_KERNELS(X)             \
  X(rms_norm, RmsNormArgs)             \
  X(gated_act, GatedActArgs)           \
  X(rope_kv, RopeKvArgs)               \
  X(attention, AttentionArgs)          \
  X(gather_rows, GatherRowsArgs)       \
  X(add, AddArgs)                      \
  X(softcap, SoftcapArgs)              \
  X(scatter_ids, ScatterIdsArgs)       \
  X(check_finite, CheckFiniteArgs)     \
  X(copy, CopyArgs)                    \
  X(logits_process, LogitsProcessArgs) \
  X(sample, SampleArgs)                \
  X(logprobs, LogprobsArgs)

namespace bz {

struct LimitKernels;  // of measurements: limit_kernels.h
struct LinearKernels; // of weights, linear and embedding: linear_kernels.h

struct Kernels {
#define BZ_FIELD(op, Args) void (*op)(const Args &, Team &);
  BZ_TEAM_KERNELS(BZ_FIELD)
#undef BZ_FIELD
  const LinearKernels *linear;
  const LimitKernels *limits;
};

#if defined(BZ_LEVEL)
namespace BZ_LEVEL {
#define BZ_DECLARE(op, Args) void op(const Args &args, Team &team);
BZ_TEAM_KERNELS(BZ_DECLARE)
#undef BZ_DECLARE
extern const LinearKernels linear_kernels; // defined by the file in kernels/ that holds the products
extern const LimitKernels limit_kernels;
extern const Kernels kernels;
} // namespace BZ_LEVEL
#endif

} // namespace bz
