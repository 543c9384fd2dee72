// Memory of the host, for the libraries whose device is the host itself: they share bz_mem_alloc,
// _free and _touch and bz_stream_memory.
#pragma once
#include <cstddef>
#include <cstdint>

#include "../include/baozi.h"

namespace bz {

constexpr uint64_t LARGE_PAGE = uint64_t{2} << 20;

// Zeroed and 64-byte aligned; from 1 MiB on in large pages where the system gives them, and not touched before its
// first use. nullptr when there is no memory. Free with host_free.
void *host_alloc(uint64_t bytes);
void host_free(void *ptr);

} // namespace bz
