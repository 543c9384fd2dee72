#include "host_memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "check_ops.h"
#include "stream_base.h"

namespace bz {

// In front of every allocation, so that host_free knows what it gives back.
struct Header {
  void *base;
  uint64_t mapped_bytes; // 0: from aligned_alloc
  uint64_t bytes;        // as asked for
  uint32_t kind;         // of bz_mem_alloc
};
constexpr uint64_t ALIGN = 64, MAP_FROM = uint64_t{1} << 20;

static void *with_header(std::byte *data, Header header) {
  std::memcpy(data - ALIGN, &header, sizeof header);
  return data;
}

static void *map(uint64_t bytes) {
  // Room to start the data at a large page, with the header in the page before it.
  const uint64_t mapped = (bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE + 2 * LARGE_PAGE;
  void *base = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return nullptr;
  const uint64_t start = (reinterpret_cast<uint64_t>(base) + ALIGN + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
  auto *data = static_cast<std::byte *>(base) + (start - reinterpret_cast<uint64_t>(base));
  madvise(data, bytes, MADV_HUGEPAGE); // advice: it may be refused, the memory is good without it
  return with_header(data, {base, mapped, bytes, 0});
}

void *host_alloc(uint64_t bytes) {
  if (bytes > (uint64_t{1} << 46)) return nullptr;
  if (bytes >= MAP_FROM) return map(bytes);
  const uint64_t total = ALIGN + (bytes + ALIGN) / ALIGN * ALIGN;
  auto *base = static_cast<std::byte *>(std::aligned_alloc(ALIGN, total));
  if (base == nullptr) return nullptr;
  std::memset(base, 0, total);
  return with_header(base + ALIGN, {base, 0, bytes, 0});
}

static Header header_of(const void *data) {
  Header header;
  std::memcpy(&header, static_cast<const std::byte *>(data) - ALIGN, sizeof header);
  return header;
}

void host_free(void *ptr) {
  if (ptr == nullptr) return;
  const Header header = header_of(ptr);
  if (header.mapped_bytes != 0) munmap(header.base, header.mapped_bytes);
  else std::free(header.base);
}

static std::atomic<uint64_t> &count_of(bz_stream *stream, uint32_t kind) {
  StreamBase &base = base_of(stream);
  return kind == BZ_MEM_DEVICE ? base.device_bytes : base.staging_bytes;
}

} // namespace bz

extern "C" bz_status bz_mem_alloc(bz_stream *stream, const bz_mem_alloc_args *args, void **out) {
  BZ_TRY(bz::check_mem_alloc(stream, args, out));
  void *data = bz::host_alloc(args->bytes);
  BZ_REQUIRE(data != nullptr, BZ_ENOMEM, "no memory for %llu bytes", static_cast<unsigned long long>(args->bytes));
  bz::Header header = bz::header_of(data);
  header.kind = args->kind;
  bz::with_header(static_cast<std::byte *>(data), header);
  bz::count_of(stream, args->kind) += args->bytes;
  *out = data;
  return BZ_OK;
}

extern "C" void bz_mem_free(bz_stream *stream, void *ptr) {
  if (ptr == nullptr) return;
  const bz::Header header = bz::header_of(ptr);
  if (stream != nullptr) bz::count_of(stream, header.kind) -= header.bytes;
  bz::host_free(ptr);
}

extern "C" bz_status bz_stream_memory(bz_stream *stream, bz_stream_memory_args *args) {
  BZ_TRY(bz::check_stream_memory(stream, args));
  const bz::StreamBase &base = bz::base_of(stream);
  args->out_device_bytes = base.device_bytes;
  args->out_staging_bytes = base.staging_bytes;
  args->out_weight_bytes = *base.weight_bytes;
  args->out_scratch_bytes = base.scratch_bytes;
  return BZ_OK;
}

extern "C" bz_status bz_mem_touch(bz_stream *, const bz_mem_touch_args *args) {
  BZ_TRY(bz::check_mem_touch(args));
  constexpr uint64_t PAGE = 4096;
  auto *at = static_cast<volatile std::byte *>(args->data); // volatile: storing what is there already is not left out
  for (uint64_t i = 0; i < args->bytes; i += PAGE) at[i] = at[i];
  return BZ_OK;
}
