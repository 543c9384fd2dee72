// The CPU library, loaded from beside this one. Its streams, weights and graphs have the same type names as ours and
// are never looked into.
#pragma once
#include "../common/status.h"
#include "ops.h"

namespace bz {

#define BZ_CPU_SYMBOLS(X) \
  X(backend_info) X(last_error) X(library_traits) X(stream_create) X(stream_destroy) X(stream_synchronize) \
  X(stream_memory) X(stream_reserve) X(weight_create) X(weight_plan) X(weight_destroy) X(weight_info) \
  X(capture_begin) X(capture_end) X(graph_launch) X(graph_destroy) X(plan_begin) X(plan_end) \
  X(kv_cache_bytes) X(latent_cache_bytes) X(mem_copy) X(measure_read) X(measure_products)

struct CpuLibrary {
#define BZ_FIELD(name, ...) decltype(&::bz_##name) name;
  BZ_CPU_SYMBOLS(BZ_FIELD)
  BZ_OPS(BZ_FIELD)
#undef BZ_FIELD
};

// Ends the process with words where libbaozi_cpu.so is not beside this library: nothing works without it.
const CpuLibrary &cpu();

// A status of the CPU library, with its words.
bz_status relay(bz_status status);

} // namespace bz
