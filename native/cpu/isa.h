// Instruction sets: which of the levels that the kernels were compiled for this processor can run.
#pragma once
#include <string>

#include "../include/baozi.h"

namespace bz {

// In rising order: of the levels a processor has, the last is the best.
enum class Isa { scalar, neon, avx2, avx512, avx512_vnni, amx };

struct Kernels;

const char *isa_name(Isa isa);
// True when the processor and the system (register state, AMX permission) let this process run the level.
bool isa_usable(Isa isa);
Isa best_isa();
// "scalar, avx2, ..." of the usable levels.
std::string usable_isas();
// BZ_EINVAL with the list of usable levels for an unknown name or one that is not usable. NULL: the best.
bz_status choose_isa(const char *name, Isa *out);
const Kernels *kernels_of(Isa isa);

} // namespace bz
