#include "weight_args.h"

#include "check_ops.h"
#include "dtype.h"
#include "part_rows.h"

namespace bz {

using ull = unsigned long long;

constexpr uint32_t MAX_ROWS = 1u << 28;

// A tensor that must hold `needed` bytes. Parts are numbered through all experts.
static bz_status check_tensor(const bz_weight_args *args, uint32_t part, const char *name, const bz_weight_tensor &t,
                              uint64_t needed, bool plan_only) {
  BZ_REQUIRE(t.reserved == 0, BZ_EINVAL, "weight_create: part %u: %s.reserved is %u, must be 0", part, name,
             t.reserved);
  BZ_REQUIRE(t.bytes == needed, BZ_EINVAL, "weight_create: part %u: %s have %llu bytes, [%u, %u] of %s needs %llu",
             part, name, ull{t.bytes}, args->parts[part].n, args->c, dtype_name(t.dtype), ull{needed});
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

// The scales of a scheme: one of the float types.
static bz_status check_scales(const bz_weight_args *args, uint32_t i, uint64_t count, bool has_half, bool plan_only) {
  const bz_weight_tensor &t = args->parts[i].scales;
  BZ_REQUIRE(t.dtype == BZ_F32 || t.dtype == BZ_BF16 || (t.dtype == BZ_F16 && has_half), BZ_EINVAL,
             "weight_create: part %u: scales are %s", i, dtype_name(t.dtype));
  return check_tensor(args, i, "scales", t, count * dtype_bytes(t.dtype), plan_only);
}

static bz_status check_group_cols(uint32_t i, uint32_t cols) {
  BZ_REQUIRE(cols == 0 || cols == 16 || cols == 32 || cols == 64 || cols == 128, BZ_EINVAL,
             "weight_create: part %u: group_cols is %u, must be 0, 16, 32, 64 or 128", i, cols);
  return BZ_OK;
}

static bz_status check_gptq(const bz_weight_args *args, uint32_t i, bool plan_only) {
  const bz_weight_part &part = args->parts[i];
  BZ_REQUIRE(part.values.dtype == BZ_I32, BZ_EINVAL, "weight_create: part %u: values of GPTQ are i32, not %s", i,
             dtype_name(part.values.dtype));
  BZ_REQUIRE(args->c % 8 == 0, BZ_EINVAL, "weight_create: part %u: c is %u, GPTQ needs a multiple of 8", i, args->c);
  BZ_REQUIRE(part.group_rows == 1, BZ_EINVAL, "weight_create: part %u: group_rows is %u, GPTQ has 1", i,
             part.group_rows);
  BZ_TRY(check_group_cols(i, part.group_cols));
  BZ_REQUIRE(part.n <= MAX_ROWS, BZ_EINVAL, "weight_create: part %u: [%u, %u] is too large", i, part.n, args->c);
  const uint64_t groups = num_groups(part, args->c);
  BZ_TRY(check_tensor(args, i, "values", part.values, uint64_t{args->c} / 8 * part.n * 4, plan_only));
  BZ_TRY(check_scales(args, i, groups * part.n, true, plan_only));
  if (!is_absent(part.zeros)) {
    BZ_REQUIRE(part.zeros.dtype == BZ_I32 && part.n % 8 == 0, BZ_EINVAL,
               "weight_create: part %u: zeros are %s of %u rows, GPTQ packs eight rows in an i32", i,
               dtype_name(part.zeros.dtype), part.n);
    BZ_TRY(check_tensor(args, i, "zeros", part.zeros, groups * (part.n / 8) * 4, plan_only));
  }
  if (is_absent(part.group_index)) return BZ_OK;
  BZ_REQUIRE(part.group_index.dtype == BZ_I32, BZ_EINVAL, "weight_create: part %u: group_index is %s, must be i32", i,
             dtype_name(part.group_index.dtype));
  BZ_TRY(check_tensor(args, i, "group_index", part.group_index, uint64_t{args->c} * 4, plan_only));
  for (uint64_t column = 0; column < args->c && !plan_only; column++) {
    int32_t group = 0;
    std::memcpy(&group, static_cast<const char *>(part.group_index.data) + column * 4, 4);
    BZ_REQUIRE(group >= 0 && static_cast<uint64_t>(group) < groups, BZ_EINVAL,
               "weight_create: part %u: group_index[%llu] is %d, there are %llu groups", i, ull{column}, group,
               ull{groups});
  }
  return BZ_OK;
}

static bz_status check_fp8(const bz_weight_args *args, uint32_t i, bool plan_only) {
  const bz_weight_part &part = args->parts[i];
  BZ_REQUIRE(part.values.dtype == BZ_F8_E4M3, BZ_EINVAL, "weight_create: part %u: values of FP8 are f8_e4m3, not %s", i,
             dtype_name(part.values.dtype));
  BZ_REQUIRE(is_absent(part.zeros) && is_absent(part.group_index), BZ_EINVAL,
             "weight_create: part %u: FP8 has values and scales alone", i);
  BZ_TRY(check_group_cols(i, part.group_cols));
  BZ_REQUIRE(part.n <= MAX_ROWS, BZ_EINVAL, "weight_create: part %u: [%u, %u] is too large", i, part.n, args->c);
  const uint64_t rows = part.group_rows == 0 ? 1 : (uint64_t{part.n} + part.group_rows - 1) / part.group_rows;
  BZ_TRY(check_tensor(args, i, "values", part.values, uint64_t{part.n} * args->c, plan_only));
  return check_scales(args, i, rows * num_groups(part, args->c), false, plan_only);
}

static bz_status check_part(const bz_weight_args *args, uint32_t i, bool plan_only) {
  const bz_weight_part &part = args->parts[i];
  BZ_REQUIRE(part.n > 0, BZ_EINVAL, "weight_create: part %u has no rows", i);
  switch (part.scheme) {
    case BZ_SCHEME_PLAIN: return check_plain(args, i, plan_only);
    case BZ_SCHEME_GPTQ: return check_gptq(args, i, plan_only);
    case BZ_SCHEME_FP8: return check_fp8(args, i, plan_only);
    default: return fail(BZ_ENOSYS, "weight_create: part %u: scheme %u is not supported", i, part.scheme);
  }
}

// Whether an expert's part is held as expert 0's is.
static bool is_alike(const bz_weight_part &part, const bz_weight_part &first) {
  return part.n == first.n && part.scheme == first.scheme && part.group_rows == first.group_rows &&
         part.group_cols == first.group_cols && part.values.dtype == first.values.dtype &&
         part.scales.dtype == first.scales.dtype && is_absent(part.zeros) == is_absent(first.zeros);
}

bz_status check_weight(const bz_weight_args *args, bool plan_only) {
  BZ_CHECK_ARGS("weight_create", args);
  BZ_REQUIRE(args->num_experts <= 65536, BZ_EINVAL, "weight_create: num_experts is %u, the limit is 65536",
             args->num_experts);
  BZ_REQUIRE(args->num_parts >= 1 && args->num_parts <= 16, BZ_EINVAL,
             "weight_create: num_parts is %u, must be 1 to 16", args->num_parts);
  BZ_REQUIRE(args->parts != nullptr, BZ_EINVAL, "weight_create: parts is NULL");
  BZ_REQUIRE(args->compute <= BZ_COMPUTE_INT4, BZ_EINVAL, "weight_create: unknown compute %u", args->compute);
  // The limits keep every offset into a row, and every group sum, far from overflow.
  BZ_REQUIRE(args->c >= 1 && args->c <= (1u << 24), BZ_EINVAL, "weight_create: c is %u, must be 1 to 16777216",
             args->c);
  BZ_REQUIRE(args->n <= MAX_ROWS, BZ_EINVAL, "weight_create: n is %u, the limit is %u", args->n, MAX_ROWS);
  uint64_t n = 0;
  for (uint32_t i = 0; i < args->num_parts; i++) {
    BZ_TRY(check_part(args, i, plan_only));
    n += args->parts[i].n;
  }
  BZ_REQUIRE(n == args->n, BZ_EINVAL, "weight_create: n is %u, the parts have %llu rows", args->n, ull{n});
  // What a value takes at most: 4 bytes, and rows and columns that fill up blocks.
  uint64_t most = (n + 16 * args->num_parts) * (uint64_t{args->c} + 32) * 8;
  BZ_REQUIRE(!__builtin_mul_overflow(most, num_matrices(*args), &most) && most < (uint64_t{1} << 56), BZ_EINVAL,
             "weight_create: %u experts of [%u, %u] are too large", args->num_experts, args->n, args->c);
  for (uint32_t i = args->num_parts; i < num_matrices(*args) * args->num_parts; i++) {
    BZ_REQUIRE(is_alike(args->parts[i], args->parts[i % args->num_parts]), BZ_EINVAL,
               "weight_create: part %u: of expert %u, differs in its form from part %u", i, i / args->num_parts,
               i % args->num_parts);
    BZ_TRY(check_part(args, i, plan_only));
  }
  return BZ_OK;
}

Hold hold_of(const bz_weight_part &part, uint32_t compute) {
  switch (compute) {
    case BZ_COMPUTE_F32: return Hold::f32;
    case BZ_COMPUTE_F16: return Hold::f16;
    case BZ_COMPUTE_BF16: return Hold::bf16;
    default: break;
  }
  // Block formats and GPTQ are in int8 or int4 already: quantizing them again could only lose.
  const uint32_t dtype = part.values.dtype;
  if (part.scheme == BZ_SCHEME_GPTQ || (part.scheme == BZ_SCHEME_PLAIN && dtype_info(dtype)->group != 0))
    return Hold::file;
  if (compute == BZ_COMPUTE_INT8) return Hold::int8;
  if (compute == BZ_COMPUTE_INT4) return Hold::int4;
  if (part.scheme == BZ_SCHEME_FP8) return Hold::bf16;
  return dtype == BZ_F32 ? Hold::f32 : dtype == BZ_F16 ? Hold::f16 : Hold::bf16;
}

constexpr uint32_t MAX_PRODUCT_ROWS = 1u << 24;

static bz_status check_values(const char *op, const WeightShape &w, bool is_planning) {
  BZ_REQUIRE(!w.is_planned || is_planning, BZ_EINVAL, "%s: the weight was only planned", op);
  return BZ_OK;
}

static bz_status check_shape(const char *op, const WeightShape &w, bool is_planning) {
  BZ_TRY(check_values(op, w, is_planning));
  BZ_REQUIRE(w.num_experts == 0, BZ_EINVAL, "%s: the weight is a stack of %u", op, w.num_experts);
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
  BZ_REQUIRE(args->num_tokens <= MAX_PRODUCT_ROWS, BZ_EINVAL, "linear: num_tokens is %u, the limit is %u",
             args->num_tokens, MAX_PRODUCT_ROWS);
  BZ_TRY(check_matrix("linear", "x", args->x, args->num_tokens, w.c));
  return check_matrix("linear", "y", args->y, args->num_tokens, w.n);
}

bz_status check_linear_experts(const bz_linear_experts_args *args, const WeightShape &w, bool is_planning) {
  BZ_REQUIRE((args->flags & ~uint32_t{BZ_LINEAR_FINE}) == 0, BZ_EINVAL, "linear_experts: unknown flags %#x",
             args->flags);
  BZ_TRY(check_values("linear_experts", w, is_planning));
  BZ_REQUIRE(w.num_experts > 0, BZ_EINVAL, "linear_experts: the weight is no stack");
  if (args->num_rows == 0) return BZ_OK;
  BZ_REQUIRE(args->num_rows <= MAX_PRODUCT_ROWS, BZ_EINVAL, "linear_experts: num_rows is %u, the limit is %u",
             args->num_rows, MAX_PRODUCT_ROWS);
  BZ_REQUIRE(args->x_repeat > 0 && args->num_rows % args->x_repeat == 0, BZ_EINVAL,
             "linear_experts: num_rows is %u, must be a multiple of x_repeat %u", args->num_rows, args->x_repeat);
  BZ_REQUIRE(args->ids != nullptr, BZ_EINVAL, "linear_experts: ids is NULL");
  BZ_TRY(check_matrix("linear_experts", "x", args->x, args->num_rows / args->x_repeat, w.c));
  return check_matrix("linear_experts", "y", args->y, args->num_rows, w.n);
}

} // namespace bz
