#include "cpu.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace bz {
namespace {

[[noreturn]] void give_up(const std::string &path, const char *why) {
  std::fprintf(stderr, "cannot use the CPU library %s: %s\n", path.c_str(), why);
  std::abort();
}

CpuLibrary load() {
  Dl_info here;
  std::string path = "libbaozi_cpu.so";
  if (dladdr(reinterpret_cast<void *>(load), &here) != 0) {
    const std::string mine = here.dli_fname;
    path = mine.substr(0, mine.rfind('/') + 1) + path;
  }
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) give_up(path, dlerror());
  CpuLibrary table;
#define BZ_LOAD(name, ...)                                                                   \
  table.name = reinterpret_cast<decltype(table.name)>(dlsym(library, "bz_" #name));          \
  if (table.name == nullptr) give_up(path, "it lacks bz_" #name);
  BZ_CPU_SYMBOLS(BZ_LOAD)
  BZ_OPS(BZ_LOAD)
#undef BZ_LOAD
  return table;
}

} // namespace

const CpuLibrary &cpu() {
  static const CpuLibrary table = load();
  return table;
}

bz_status relay(bz_status status) {
  if (status == BZ_OK) return BZ_OK;
  char words[512];
  cpu().last_error(words, sizeof words);
  return fail(status, "%s", words);
}

} // namespace bz
