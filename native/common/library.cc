// What libraries on a host answer alike: the ABI version and which dtypes each op takes.
#include <cstring>
#include <initializer_list>

#include "check_ops.h"
#include "dequant.h"

extern "C" uint32_t bz_abi_version(void) { return BZ_ABI_VERSION; }

extern "C" int32_t bz_op_supported(const char *op, uint32_t dtype) {
  if (op == nullptr) return 0;
  const auto among = [op](std::initializer_list<const char *> names) {
    for (const char *name : names) if (std::strcmp(op, name) == 0) return true;
    return false;
  };
  if (among({"weight_create", "linear", "embedding"})) return bz::dtype_info(dtype) != nullptr;
  if (among({"rope_kv", "attention", "kv_cache_bytes"})) return dtype == BZ_F32 || dtype == BZ_BF16;
  if (among({"rms_norm", "gated_act", "gather_rows", "add", "softcap", "check_finite"}))
    return dtype == BZ_F32 || bz::takes_activation(dtype);
  if (among({"logits_process", "sample", "logprobs"})) return dtype == BZ_F32;
  if (among({"scatter_ids"})) return dtype == BZ_I32;
  return 0;
}
