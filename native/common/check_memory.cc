// Memory calls, and what libraries on a host answer alike.
#include "check_ops.h"

namespace bz {

bz_status check_mem_alloc(const bz_stream *stream, const bz_mem_alloc_args *args, void **out) {
  BZ_CHECK_ARGS("mem_alloc", args);
  BZ_REQUIRE(stream != nullptr && out != nullptr, BZ_EINVAL, "mem_alloc: stream or out is NULL");
  BZ_REQUIRE(args->kind <= BZ_MEM_STAGING, BZ_EINVAL, "mem_alloc: unknown kind %u", args->kind);
  return BZ_OK;
}

bz_status check_mem_touch(const bz_mem_touch_args *args) {
  BZ_CHECK_ARGS("mem_touch", args);
  BZ_REQUIRE(args->reserved == 0, BZ_EINVAL, "mem_touch: reserved is %u, must be 0", args->reserved);
  BZ_REQUIRE(args->bytes == 0 || args->data != nullptr, BZ_EINVAL, "mem_touch: data is NULL");
  return BZ_OK;
}

bz_status check_copy(const char *op, const bz_stream *stream, const bz_copy_args *args) {
  BZ_CHECK_ARGS(op, args);
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "%s: stream is NULL", op);
  BZ_REQUIRE(args->reserved == 0, BZ_EINVAL, "%s: reserved is %u, must be 0", op, args->reserved);
  if (args->bytes == 0) return BZ_OK;
  BZ_REQUIRE(args->dst != nullptr && args->src != nullptr, BZ_EINVAL, "%s: dst or src is NULL", op);
  const auto dst = reinterpret_cast<uint64_t>(args->dst), src = reinterpret_cast<uint64_t>(args->src);
  BZ_REQUIRE(dst + args->bytes <= src || src + args->bytes <= dst, BZ_EINVAL, "%s: dst and src overlap", op);
  return BZ_OK;
}

bz_status check_stream_memory(const bz_stream *stream, const bz_stream_memory_args *args) {
  BZ_CHECK_ARGS("stream_memory", args);
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "stream_memory: stream is NULL");
  BZ_REQUIRE(args->reserved == 0, BZ_EINVAL, "stream_memory: reserved is %u, must be 0", args->reserved);
  return BZ_OK;
}

} // namespace bz

extern "C" bz_status bz_device_memory(bz_stream *stream, bz_device_memory_args *args) {
  BZ_CHECK_ARGS("device_memory", args);
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "device_memory: stream is NULL");
  return bz::fail(BZ_ENOSYS, "device_memory: the device's memory is the host's");
}
