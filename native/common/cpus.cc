#include "cpus.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>

namespace bz {

static uint32_t affinity_cpus() {
  for (int cpus = 1024; cpus <= 65536; cpus *= 4) { // the mask must be as large as the kernel's
    cpu_set_t *set = CPU_ALLOC(cpus);
    if (set == nullptr) break;
    const size_t bytes = CPU_ALLOC_SIZE(cpus);
    const int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (count > 0) return static_cast<uint32_t>(count);
  }
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? static_cast<uint32_t>(online) : 1;
}

// Processors' worth of time that one cgroup directory allows; infinity when it sets no limit.
static double quota_of(const std::string &dir) {
  double quota = -1, period = 100000;
  if (std::ifstream v2(dir + "/cpu.max"); v2) {
    if (!(v2 >> quota >> period)) quota = -1; // "max 100000"
  } else if (std::ifstream v1(dir + "/cpu.cfs_quota_us"); v1) {
    v1 >> quota;
    std::ifstream(dir + "/cpu.cfs_period_us") >> period;
  }
  return quota > 0 && period > 0 ? quota / period : INFINITY;
}

static double cgroup_cpus() {
  double cpus = INFINITY;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) { // "4:cpu,cpuacct:/a/b" or "0::/a/b"
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool v1 = ("," + controllers + ",").find(",cpu,") != std::string::npos;
    if (!controllers.empty() && !v1) continue;
    const std::string root = v1 ? "/sys/fs/cgroup/cpu" : "/sys/fs/cgroup";
    std::string path = line.substr(second + 1);
    for (;;) { // a limit of any ancestor holds too; inside a container the path may not exist, its root does
      cpus = std::min(cpus, quota_of(root + path));
      const size_t slash = path.find_last_of('/');
      if (path.empty() || slash == std::string::npos) break;
      path.resize(slash);
    }
  }
  return cpus;
}

uint32_t usable_cpus() {
  const double quota = std::ceil(cgroup_cpus());
  const uint32_t cpus = affinity_cpus();
  return quota < cpus ? std::max(1u, static_cast<uint32_t>(quota)) : cpus;
}

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

uint64_t memory_bytes() {
  const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(size) : 0;
}

} // namespace bz
