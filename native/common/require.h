// Checks of args, in words that name the op and the field.
#pragma once
#include "status.h"

namespace bz {

#define REQUIRE(condition, ...) BZ_REQUIRE(condition, BZ_EINVAL, __VA_ARGS__)
#define REQUIRE_POINTER(op, field) REQUIRE(args->field != nullptr, op ": " #field " is NULL")
#define REQUIRE_ZERO(op, field) REQUIRE(args->field == 0, op ": " #field " is %u, must be 0", args->field)

// Element offsets are 64 bit everywhere, but a count this large is a mistake, and none of our loops has to think of it.
constexpr uint32_t MAX_COUNT = 1u << 30;
#define REQUIRE_COUNT(op, field) \
  REQUIRE(args->field <= MAX_COUNT, op ": " #field " is %u, the limit is %u", args->field, MAX_COUNT)
#define REQUIRE_COLS(op, field) \
  REQUIRE(args->field.cols > 0 && args->field.cols <= MAX_COUNT, op ": " #field ".cols is %u, must be 1 to %u", \
          args->field.cols, MAX_COUNT)
#define TRY_MATRIX(op, field, rows, cols) BZ_TRY(check_matrix(op, #field, args->field, rows, cols))
#define TRY_LOGITS(op, field, rows, cols) BZ_TRY(check_logits(op, #field, args->field, rows, cols))

} // namespace bz
