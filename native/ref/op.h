// The ops that take no weight, one run() for each: the obvious arithmetic. Args have been checked, data have not.
#pragma once
#include "../common/status.h"
#include "ops.h"

namespace bz {

#define BZ_DECLARE(op, count) bz_status run(const bz_##op##_args &a);
BZ_MATRIX_OPS(BZ_DECLARE)
#undef BZ_DECLARE

} // namespace bz
