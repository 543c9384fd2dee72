// Read-only maps of whole files, shared by all libraries that run on a host.
//
// A file that becomes shorter while it is mapped takes the pages behind its new end away, and to read there is SIGBUS.
// The handler here puts zeros in their place, so that the reader continues, and notes it for the map: the next
// bz_file_release of it fails.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "status.h"

namespace {

// A checkpoint has at most some hundred files.
constexpr int kMaxMaps = 4096;

struct Map {
  std::atomic<uintptr_t> begin{0}, end{0}; // end is 0 while the entry is free
  std::atomic<bool> has_shrunk{false};
};

Map maps[kMaxMaps];
std::mutex maps_mutex; // for those who add and remove; the handler only looks
struct sigaction previous_action;

Map *map_at(uintptr_t address) {
  for (Map &map : maps)
    if (address >= map.begin.load() && address < map.end.load()) return &map;
  return nullptr;
}

uintptr_t page_bytes() {
  static const uintptr_t bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

// Nothing but system calls and atomics: it runs wherever the reader stood.
void on_bus_error(int signal, siginfo_t *info, void *context) {
  const int saved_errno = errno;
  const uintptr_t address = reinterpret_cast<uintptr_t>(info->si_addr);
  if (Map *map = map_at(address)) {
    const uintptr_t page = address - address % page_bytes();
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    if (mmap(reinterpret_cast<void *>(page), map->end.load() - page, PROT_READ, flags, -1, 0) != MAP_FAILED) {
      map->has_shrunk.store(true);
      errno = saved_errno;
      return;
    }
  }
  // Not ours: as if this handler were not here. Under the default action the access is tried again, and ends the
  // process.
  errno = saved_errno;
  if (previous_action.sa_flags & SA_SIGINFO) return previous_action.sa_sigaction(signal, info, context);
  if (previous_action.sa_handler == SIG_DFL || previous_action.sa_handler == SIG_IGN) {
    struct sigaction by_default = {};
    by_default.sa_handler = SIG_DFL;
    sigaction(signal, &by_default, nullptr);
    return;
  }
  previous_action.sa_handler(signal);
}

void install_handler() {
  static std::once_flag once;
  std::call_once(once, [] {
    page_bytes();
    struct sigaction action = {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &previous_action);
  });
}

bool add_map(uintptr_t begin, uintptr_t bytes) {
  install_handler();
  const std::lock_guard<std::mutex> lock(maps_mutex);
  for (Map &map : maps) {
    if (map.end.load() != 0) continue;
    map.has_shrunk.store(false);
    map.begin.store(begin);
    map.end.store(begin + (bytes + page_bytes() - 1) / page_bytes() * page_bytes());
    return true;
  }
  return false;
}

void remove_map(uintptr_t begin) {
  const std::lock_guard<std::mutex> lock(maps_mutex);
  for (Map &map : maps) {
    if (map.end.load() == 0 || map.begin.load() != begin) continue;
    map.end.store(0);
    map.begin.store(0);
    return;
  }
}

} // namespace

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
    const size_t bytes = static_cast<size_t>(info.st_size);
    data = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0);
    if (data == MAP_FAILED) {
      status = bz::fail(BZ_EIO, "%s: %s", args->path, std::strerror(errno));
    } else if (!add_map(reinterpret_cast<uintptr_t>(data), bytes)) {
      munmap(data, bytes);
      status = bz::fail(BZ_EIO, "%s: more than %d files are mapped", args->path, kMaxMaps);
    }
  }
  close(file); // the map holds the file
  if (status != BZ_OK) return status;
  args->out_data = data;
  args->out_bytes = static_cast<uint64_t>(info.st_size);
  return BZ_OK;
}

extern "C" bz_status bz_file_release(const bz_file_range_args *args) {
  BZ_CHECK_ARGS("file_release", args);
  const uint64_t page = page_bytes();
  const uint64_t data = reinterpret_cast<uint64_t>(args->data);
  const Map *map = map_at(data);
  BZ_REQUIRE(map == nullptr || !map->has_shrunk.load(), BZ_EIO, "the file became shorter while it was read");
  const uint64_t begin = (data + page - 1) / page * page, end = (data + args->bytes) / page * page;
  if (begin >= end) return BZ_OK;
  BZ_REQUIRE(madvise(reinterpret_cast<void *>(begin), end - begin, MADV_DONTNEED) == 0, BZ_EIO, "file_release: %s",
             std::strerror(errno));
  return BZ_OK;
}

extern "C" bz_status bz_file_unmap(const bz_file_range_args *args) {
  BZ_CHECK_ARGS("file_unmap", args);
  if (args->bytes == 0) return BZ_OK;
  remove_map(reinterpret_cast<uintptr_t>(args->data));
  BZ_REQUIRE(munmap(args->data, args->bytes) == 0, BZ_EIO, "file_unmap: %s", std::strerror(errno));
  return BZ_OK;
}
