// What libraries on a host answer alike: the ABI version and which dtypes each op takes.
#include <cstring>

#include "check_ops.h"
#include "dequant.h"

namespace bz {

// What an op's dtype is about follows from what it takes.
template <class Args> static bool takes(uint32_t dtype) {
  if constexpr (requires(Args a) { a.weight; }) return dtype_info(dtype) != nullptr;
  else if constexpr (requires(Args a) { a.w_dtype; }) return dtype == BZ_F32 || dtype == BZ_BF16;
  else if constexpr (requires(Args a) { a.kv_dtype; }) return dtype == BZ_F32 || dtype == BZ_BF16;
  else if constexpr (requires(Args a) { a.logits; }) return dtype == BZ_F32;
  else if constexpr (requires(Args a) { a.x; }) return dtype == BZ_F32 || takes_activation(dtype);
  else return dtype == BZ_I32;
}

} // namespace bz

extern "C" uint32_t bz_abi_version(void) { return BZ_ABI_VERSION; }

extern "C" int32_t bz_op_supported(const char *op, uint32_t dtype) {
  if (op == nullptr) return 0;
#define BZ_TAKES(name, count) if (std::strcmp(op, #name) == 0) return bz::takes<bz_##name##_args>(dtype);
  BZ_OPS(BZ_TAKES)
#undef BZ_TAKES
  if (std::strcmp(op, "weight_create") == 0) return bz::takes<bz_linear_args>(dtype);
  if (std::strcmp(op, "kv_cache_bytes") == 0) return bz::takes<bz_kv_cache_args>(dtype);
  if (std::strcmp(op, "latent_cache_bytes") == 0) return bz::takes<bz_latent_cache_args>(dtype);
  return 0;
}
