#include "host_memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "status.h"

namespace bz {

// In front of every allocation, so that host_free knows what it gives back.
struct Header {
  void *base;
  uint64_t mapped_bytes; // 0: from aligned_alloc
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
  return with_header(data, {base, mapped});
}

void *host_alloc(uint64_t bytes) {
  if (bytes > (uint64_t{1} << 46)) return nullptr;
  if (bytes >= MAP_FROM) return map(bytes);
  const uint64_t total = ALIGN + (bytes + ALIGN) / ALIGN * ALIGN;
  auto *base = static_cast<std::byte *>(std::aligned_alloc(ALIGN, total));
  if (base == nullptr) return nullptr;
  std::memset(base, 0, total);
  return with_header(base + ALIGN, {base, 0});
}

void host_free(void *ptr) {
  if (ptr == nullptr) return;
  Header header;
  std::memcpy(&header, static_cast<std::byte *>(ptr) - ALIGN, sizeof header);
  if (header.mapped_bytes != 0) munmap(header.base, header.mapped_bytes);
  else std::free(header.base);
}

bz_status check_mem_copy(const bz_mem_copy_args *args) {
  BZ_CHECK_ARGS("mem_copy", args);
  BZ_REQUIRE(args->reserved == 0, BZ_EINVAL, "mem_copy: reserved is %u, must be 0", args->reserved);
  if (args->bytes == 0) return BZ_OK;
  BZ_REQUIRE(args->dst != nullptr && args->src != nullptr, BZ_EINVAL, "mem_copy: dst or src is NULL");
  const auto dst = reinterpret_cast<uint64_t>(args->dst), src = reinterpret_cast<uint64_t>(args->src);
  BZ_REQUIRE(dst + args->bytes <= src || src + args->bytes <= dst, BZ_EINVAL, "mem_copy: dst and src overlap");
  return BZ_OK;
}

} // namespace bz

extern "C" bz_status bz_mem_alloc(bz_stream *, const bz_mem_alloc_args *args, void **out) {
  BZ_CHECK_ARGS("mem_alloc", args);
  BZ_REQUIRE(out != nullptr, BZ_EINVAL, "mem_alloc: out is NULL");
  BZ_REQUIRE(args->kind <= BZ_MEM_HOST, BZ_EINVAL, "mem_alloc: unknown kind %u", args->kind);
  *out = bz::host_alloc(args->bytes);
  BZ_REQUIRE(*out != nullptr, BZ_ENOMEM, "no memory for %llu bytes", static_cast<unsigned long long>(args->bytes));
  return BZ_OK;
}

extern "C" void bz_mem_free(bz_stream *, void *ptr) { bz::host_free(ptr); }

extern "C" bz_status bz_mem_touch(bz_stream *, const bz_mem_touch_args *args) {
  BZ_CHECK_ARGS("mem_touch", args);
  BZ_REQUIRE(args->reserved == 0, BZ_EINVAL, "mem_touch: reserved is %u, must be 0", args->reserved);
  BZ_REQUIRE(args->bytes == 0 || args->data != nullptr, BZ_EINVAL, "mem_touch: data is NULL");
  constexpr uint64_t PAGE = 4096;
  auto *at = static_cast<volatile std::byte *>(args->data); // volatile: storing what is there already is not left out
  for (uint64_t i = 0; i < args->bytes; i += PAGE) at[i] = at[i];
  return BZ_OK;
}
