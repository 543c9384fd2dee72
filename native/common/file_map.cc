// Read-only maps of whole files, shared by all libraries that run on a host.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "status.h"

extern "C" bz_status bz_file_map(bz_file_map_args *args) {
  BZ_CHECK_ARGS("file_map", args);
  BZ_REQUIRE(args->path != nullptr, BZ_EINVAL, "file_map: path is NULL");
  const int file = open(args->path, O_RDONLY | O_CLOEXEC);
  BZ_REQUIRE(file >= 0, BZ_EIO, "%s: %s", args->path, std::strerror(errno));
  struct stat info;
  void *data = nullptr;
  bz_status status = BZ_OK;
  if (fstat(file, &info) != 0) {
    status = bz::fail(BZ_EIO, "%s: %s", args->path, std::strerror(errno));
  } else if (!S_ISREG(info.st_mode)) {
    status = bz::fail(BZ_EIO, "%s: not a file", args->path);
  } else if (info.st_size > 0) {
    data = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_PRIVATE, file, 0);
    if (data == MAP_FAILED) status = bz::fail(BZ_EIO, "%s: %s", args->path, std::strerror(errno));
  }
  close(file); // the map holds the file
  if (status != BZ_OK) return status;
  args->out_data = data;
  args->out_bytes = static_cast<uint64_t>(info.st_size);
  return BZ_OK;
}

extern "C" bz_status bz_file_release(const bz_file_range_args *args) {
  BZ_CHECK_ARGS("file_release", args);
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t data = reinterpret_cast<uint64_t>(args->data);
  const uint64_t begin = (data + page - 1) / page * page, end = (data + args->bytes) / page * page;
  if (begin >= end) return BZ_OK;
  BZ_REQUIRE(madvise(reinterpret_cast<void *>(begin), end - begin, MADV_DONTNEED) == 0, BZ_EIO, "file_release: %s",
             std::strerror(errno));
  return BZ_OK;
}

extern "C" bz_status bz_file_unmap(const bz_file_range_args *args) {
  BZ_CHECK_ARGS("file_unmap", args);
  if (args->bytes == 0) return BZ_OK;
  BZ_REQUIRE(munmap(args->data, args->bytes) == 0, BZ_EIO, "file_unmap: %s", std::strerror(errno));
  return BZ_OK;
}
