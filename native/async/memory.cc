// Device and staging memory: each allocation a mapping of its own, with a page behind it that cannot be touched.
#include <sys/mman.h>

#include "../common/check_ops.h"
#include "cpu.h"
#include "stream.h"

namespace bz {

constexpr uint64_t PAGE = 4096;

static std::atomic<uint64_t> &count_of(bz_stream *stream, uint32_t kind) {
  return kind == BZ_MEM_DEVICE ? stream->device_bytes : stream->staging_bytes;
}

} // namespace bz

bool bz_stream::owns(uint32_t kind, const void *data, uint64_t bytes) const {
  const auto at = reinterpret_cast<uint64_t>(data);
  auto found = memory.upper_bound(at);
  if (found == memory.begin()) return false;
  const auto &[start, allocation] = *--found;
  return allocation.kind == kind && at - start <= allocation.bytes && bytes <= allocation.bytes - (at - start);
}

void bz_stream::allow(bool device, bool staging) {
  if (!is_protecting) return;
  for (const auto &[start, allocation] : memory) {
    const bool may_touch = allocation.kind == BZ_MEM_DEVICE ? device : staging;
    mprotect(reinterpret_cast<void *>(start), allocation.mapped, may_touch ? PROT_READ | PROT_WRITE : PROT_NONE);
  }
}

extern "C" {

bz_status bz_mem_alloc(bz_stream *stream, const bz_mem_alloc_args *args, void **out) {
  BZ_TRY(bz::check_mem_alloc(stream, args, out));
  const auto words = static_cast<unsigned long long>(args->bytes);
  BZ_REQUIRE(args->bytes <= uint64_t{1} << 46, BZ_ENOMEM, "no memory for %llu bytes", words);
  const uint64_t mapped = (args->bytes / bz::PAGE + 1) * bz::PAGE;
  constexpr int FLAGS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void *data = mmap(nullptr, mapped + bz::PAGE, PROT_READ | PROT_WRITE, FLAGS, -1, 0);
  BZ_REQUIRE(data != MAP_FAILED, BZ_ENOMEM, "no memory for %llu bytes", words);
  mprotect(static_cast<char *>(data) + mapped, bz::PAGE, PROT_NONE);
  stream->memory.emplace(reinterpret_cast<uint64_t>(data), bz::Allocation{args->kind, args->bytes, mapped});
  bz::count_of(stream, args->kind) += args->bytes;
  stream->allow(false, true);
  *out = data;
  return BZ_OK;
}

void bz_mem_free(bz_stream *stream, void *ptr) {
  if (stream == nullptr || ptr == nullptr) return;
  const auto found = stream->memory.find(reinterpret_cast<uint64_t>(ptr));
  if (found == stream->memory.end()) return;
  bz::count_of(stream, found->second.kind) -= found->second.bytes;
  munmap(ptr, found->second.mapped + bz::PAGE);
  stream->memory.erase(found);
}

bz_status bz_mem_touch(bz_stream *stream, const bz_mem_touch_args *args) {
  BZ_TRY(bz::check_mem_touch(args));
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "mem_touch: stream is NULL");
  stream->allow(true, true);
  auto *at = static_cast<volatile std::byte *>(args->data); // volatile: storing what is there already is not left out
  for (uint64_t i = 0; i < args->bytes; i += bz::PAGE) at[i] = at[i];
  stream->allow(false, true);
  return BZ_OK;
}

bz_status bz_stream_memory(bz_stream *stream, bz_stream_memory_args *args) {
  BZ_TRY(bz::check_stream_memory(stream, args));
  BZ_TRY(bz::relay(bz::cpu().stream_memory(stream->cpu, args)));
  args->out_device_bytes = stream->device_bytes;
  args->out_staging_bytes = stream->staging_bytes;
  return BZ_OK;
}

} // extern "C"
