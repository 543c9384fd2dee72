#include "weight_args.h"

#include "check_ops.h"
#include "dtype.h"

namespace bz {

using ull = unsigned long long;

// A tensor that must hold `needed` bytes for each matrix of the weight.
static bz_status check_tensor(const bz_weight_args *args, uint32_t part, const char *name, const bz_weight_tensor &t,
                              uint64_t needed, bool plan_only) {
  BZ_REQUIRE(t.reserved == 0, BZ_EINVAL, "weight_create: part %u: %s.reserved is %u, must be 0", part, name, t.reserved);
  uint64_t bytes = 0;
  BZ_REQUIRE(!__builtin_mul_overflow(needed, num_matrices(*args), &bytes), BZ_EINVAL,
             "weight_create: part %u: %s are too large", part, name);
  BZ_REQUIRE(t.bytes == bytes, BZ_EINVAL, "weight_create: part %u: %s have %llu bytes, [%u, %u] of %s needs %llu", part,
             name, ull{t.bytes}, args->parts[part].n, args->c, dtype_name(t.dtype), ull{bytes});
  BZ_REQUIRE(plan_only || t.data != nullptr, BZ_EINVAL, "weight_create: part %u: %s.data is NULL", part, name);
  return BZ_OK;
}

static bool is_absent(const bz_weight_tensor &t) { return t.bytes == 0; }

static bz_status check_plain(const bz_weight_args *args, uint32_t i, bool plan_only) {
  const bz_weight_part &part = args->parts[i];
  const DtypeInfo *info = dtype_info(part.values.dtype);
  BZ_REQUIRE(info != nullptr, BZ_ENOSYS, "weight_create: part %u: no weight has dtype %u (%s)", i, part.values.dtype,
             dtype_name(part.values.dtype));
  BZ_REQUIRE(args->c % info->block == 0, BZ_EINVAL, "weight_create: part %u: c is %u, %s needs a multiple of %u", i,
             args->c, info->name, info->block);
  BZ_REQUIRE(is_absent(part.scales) && is_absent(part.zeros) && is_absent(part.group_index), BZ_EINVAL,
             "weight_create: part %u: scheme %u has values alone", i, part.scheme);
  uint64_t bytes = 0;
  BZ_REQUIRE(rows_bytes(*info, part.n, args->c, &bytes), BZ_EINVAL, "weight_create: part %u: [%u, %u] is too large", i,
             part.n, args->c);
  return check_tensor(args, i, "values", part.values, bytes, plan_only);
}

static bz_status check_part(const bz_weight_args *args, uint32_t i, bool plan_only) {
  const bz_weight_part &part = args->parts[i];
  BZ_REQUIRE(part.n > 0, BZ_EINVAL, "weight_create: part %u has no rows", i);
  switch (part.scheme) {
    case BZ_SCHEME_PLAIN: return check_plain(args, i, plan_only);
    default: return fail(BZ_ENOSYS, "weight_create: part %u: scheme %u is not supported", i, part.scheme);
  }
}

bz_status check_weight(const bz_weight_args *args, bool plan_only) {
  BZ_CHECK_ARGS("weight_create", args);
  BZ_REQUIRE(plan_only || args->num_experts <= 1, BZ_ENOSYS, "weight_create: stacks of %u experts are not supported",
             args->num_experts);
  BZ_REQUIRE(args->num_experts <= 65536, BZ_EINVAL, "weight_create: num_experts is %u, the limit is 65536",
             args->num_experts);
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

static bz_status check_shape(const char *op, const WeightShape &w, bool is_planning) {
  BZ_REQUIRE(!w.is_planned || is_planning, BZ_EINVAL, "%s: the weight was only planned", op);
  BZ_REQUIRE(w.num_experts <= 1, BZ_EINVAL, "%s: the weight is a stack of %u", op, w.num_experts);
  return BZ_OK;
}

bz_status check_embedding(const bz_embedding_args *args, const WeightShape &w, bool is_planning) {
  BZ_REQUIRE(args->reserved == 0, BZ_EINVAL, "embedding: reserved is %u, must be 0", args->reserved);
  BZ_TRY(check_shape("embedding", w, is_planning));
  if (args->num_tokens == 0) return BZ_OK;
  BZ_REQUIRE(args->ids != nullptr, BZ_EINVAL, "embedding: ids is NULL");
  return check_matrix("embedding", "y", args->y, args->num_tokens, w.c);
}

bz_status check_linear(const bz_linear_args *args, const WeightShape &w, bool is_planning) {
  BZ_REQUIRE(args->reserved == 0, BZ_EINVAL, "linear: reserved is %u, must be 0", args->reserved);
  BZ_REQUIRE((args->flags & ~uint32_t{BZ_LINEAR_ACCUMULATE | BZ_LINEAR_FINE}) == 0, BZ_EINVAL,
             "linear: unknown flags %#x", args->flags);
  BZ_TRY(check_shape("linear", w, is_planning));
  if (args->num_tokens == 0) return BZ_OK;
  BZ_REQUIRE(args->num_tokens <= (1u << 24), BZ_EINVAL, "linear: num_tokens is %u, the limit is 16777216",
             args->num_tokens);
  BZ_TRY(check_matrix("linear", "x", args->x, args->num_tokens, w.c));
  return check_matrix("linear", "y", args->y, args->num_tokens, w.n);
}

} // namespace bz
