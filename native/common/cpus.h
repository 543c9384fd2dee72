// How many processors this process may really use.
#pragma once
#include <cstdint>
#include <string>

namespace bz {

// The affinity mask, cut down to the cgroup's CPU quota (versions 1 and 2), rounded up; at least 1.
uint32_t usable_cpus();
// The processor's name for people, "unknown" where the system does not tell.
std::string cpu_model();
uint64_t memory_bytes();

} // namespace bz
