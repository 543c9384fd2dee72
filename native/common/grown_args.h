// Args of structs that have grown at their end within an ABI version.
#pragma once
#include <cstddef>
#include <cstring>

#include "status.h"

namespace bz {

// Copies args of the present size, or of the size that the struct had before it grew, to `out`; fields that the caller
// does not have are 0. `earlier_bytes`: the offset of the first field that was added.
template <class Args>
bz_status take_args(const char *op, const Args *args, size_t earlier_bytes, Args *out) {
  BZ_REQUIRE(args != nullptr, BZ_EINVAL, "%s: args is NULL", op);
  const uint32_t bytes = args->args_bytes;
  BZ_REQUIRE(bytes == sizeof *out || bytes == earlier_bytes, BZ_EABI, "%s: args_bytes is %u, this library has %zu", op,
             bytes, sizeof *out);
  *out = Args{};
  std::memcpy(static_cast<void *>(out), args, bytes);
  return BZ_OK;
}

} // namespace bz
