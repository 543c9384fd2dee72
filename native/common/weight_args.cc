#include "weight_args.h"

#include "dtype.h"
#include "status.h"

namespace bz {

using ull = unsigned long long;

static bz_status check_part(const bz_weight_args *args, uint32_t i, bool plan_only) {
  const bz_weight_part &part = args->parts[i];
  const DtypeInfo *info = dtype_info(part.dtype);
  BZ_REQUIRE(info != nullptr, BZ_ENOSYS, "weight_create: part %u: no weight has dtype %u (%s)", i, part.dtype,
             dtype_name(part.dtype));
  BZ_REQUIRE(part.n > 0, BZ_EINVAL, "weight_create: part %u has no rows", i);
  BZ_REQUIRE(args->c % info->block == 0, BZ_EINVAL, "weight_create: part %u: c is %u, %s needs a multiple of %u", i,
             args->c, info->name, info->block);
  uint64_t bytes = 0;
  BZ_REQUIRE(rows_bytes(*info, part.n, args->c, &bytes), BZ_EINVAL, "weight_create: part %u: [%u, %u] is too large", i,
             part.n, args->c);
  BZ_REQUIRE(part.bytes == bytes, BZ_EINVAL, "weight_create: part %u has %llu bytes, [%u, %u] of %s needs %llu", i,
             ull{part.bytes}, part.n, args->c, info->name, ull{bytes});
  BZ_REQUIRE(plan_only || part.data != nullptr, BZ_EINVAL, "weight_create: part %u: data is NULL", i);
  return BZ_OK;
}

bz_status check_weight(const bz_weight_args *args, bool plan_only) {
  BZ_CHECK_ARGS("weight_create", args);
  BZ_REQUIRE(args->reserved == 0, BZ_EINVAL, "weight_create: reserved is %u, must be 0", args->reserved);
  BZ_REQUIRE(args->num_parts >= 1 && args->num_parts <= 16, BZ_EINVAL,
             "weight_create: num_parts is %u, must be 1 to 16", args->num_parts);
  BZ_REQUIRE(args->parts != nullptr, BZ_EINVAL, "weight_create: parts is NULL");
  BZ_REQUIRE(args->compute <= BZ_COMPUTE_INT4, BZ_EINVAL, "weight_create: unknown compute %u", args->compute);
  // The limits keep every offset into a row, and every group sum, far from overflow.
  BZ_REQUIRE(args->c >= 1 && args->c <= (1u << 24), BZ_EINVAL, "weight_create: c is %u, must be 1 to 16777216",
             args->c);
  BZ_REQUIRE(args->n <= (1u << 28), BZ_EINVAL, "weight_create: n is %u, the limit is 268435456", args->n);
  uint64_t n = 0;
  for (uint32_t i = 0; i < args->num_parts; i++) {
    BZ_TRY(check_part(args, i, plan_only));
    n += args->parts[i].n;
  }
  BZ_REQUIRE(n == args->n, BZ_EINVAL, "weight_create: n is %u, the parts have %llu rows", args->n, ull{n});
  return BZ_OK;
}

Hold hold_of(uint32_t dtype, uint32_t compute) {
  switch (compute) {
    case BZ_COMPUTE_F32: return Hold::f32;
    case BZ_COMPUTE_F16: return Hold::f16;
    case BZ_COMPUTE_BF16: return Hold::bf16;
    default: break;
  }
  // A block format is in int8 or int4 already: quantizing it again could only lose.
  if (dtype_info(dtype)->group != 0) return Hold::file;
  if (compute == BZ_COMPUTE_INT8) return Hold::int8;
  if (compute == BZ_COMPUTE_INT4) return Hold::int4;
  return dtype == BZ_F32 ? Hold::f32 : dtype == BZ_F16 ? Hold::f16 : Hold::bf16;
}

bz_status check_embedding(const bz_embedding_args *args, uint32_t c) {
  BZ_REQUIRE(args->reserved == 0, BZ_EINVAL, "embedding: reserved is %u, must be 0", args->reserved);
  if (args->num_tokens == 0) return BZ_OK;
  BZ_REQUIRE(args->ids != nullptr && args->y != nullptr, BZ_EINVAL, "embedding: ids or y is NULL");
  BZ_REQUIRE(args->y_stride >= c || args->num_tokens == 1, BZ_EINVAL, "embedding: y_stride is %llu, c is %u",
             ull{args->y_stride}, c);
  return BZ_OK;
}

bz_status check_linear(const bz_linear_args *args, uint32_t n, uint32_t c) {
  BZ_REQUIRE(args->reserved == 0, BZ_EINVAL, "linear: reserved is %u, must be 0", args->reserved);
  BZ_REQUIRE((args->flags & ~uint32_t{BZ_LINEAR_ACCUMULATE | BZ_LINEAR_FINE}) == 0, BZ_EINVAL,
             "linear: unknown flags %#x", args->flags);
  if (args->num_tokens == 0) return BZ_OK;
  BZ_REQUIRE(args->num_tokens <= (1u << 24), BZ_EINVAL, "linear: num_tokens is %u, the limit is 16777216",
             args->num_tokens);
  BZ_REQUIRE(args->x != nullptr && args->y != nullptr, BZ_EINVAL, "linear: x or y is NULL");
  BZ_REQUIRE(args->x_stride >= c || args->num_tokens == 1, BZ_EINVAL, "linear: x_stride is %llu, c is %u",
             ull{args->x_stride}, c);
  BZ_REQUIRE(args->y_stride >= n || args->num_tokens == 1, BZ_EINVAL, "linear: y_stride is %llu, n is %u",
             ull{args->y_stride}, n);
  return BZ_OK;
}

} // namespace bz
