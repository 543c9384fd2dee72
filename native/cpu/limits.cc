// Measures what all threads of a stream do together, for a while: each counts its own work and its own time.
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "../common/check_ops.h"
#include "../common/host_memory.h"
#include "limit_kernels.h"
#include "onednn.h"

namespace bz {

using Clock = std::chrono::steady_clock;

static uint64_t nanoseconds_since(Clock::time_point start) {
  return static_cast<uint64_t>(std::chrono::nanoseconds(Clock::now() - start).count());
}

// `work(thread)` is called again and again for `milliseconds`, and returns how much it did.
template <class Prepare, class Work>
static void measure(uint32_t threads, uint32_t milliseconds, Prepare prepare, Work work, uint64_t *out_work,
                    uint64_t *out_nanoseconds) {
  uint64_t total = 0, longest = 0;
#pragma omp parallel num_threads(threads) reduction(+ : total) reduction(max : longest)
  {
    const auto thread = static_cast<uint32_t>(omp_get_thread_num());
    prepare(thread);
    work(thread);
#pragma omp barrier
    const auto start = Clock::now();
    do {
      total += work(thread);
      longest = nanoseconds_since(start);
    } while (longest < milliseconds * uint64_t{1000000});
  }
  *out_work = total;
  *out_nanoseconds = longest;
}

static bz_status check_stream(const bz_stream *stream, const char *op, uint32_t milliseconds) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "%s: stream is NULL", op);
  BZ_TRY(stream->require_running(op));
  BZ_REQUIRE(milliseconds >= 1 && milliseconds <= 60000, BZ_EINVAL, "%s: %u milliseconds, must be 1 to 60000", op,
             milliseconds);
  return BZ_OK;
}

} // namespace bz

extern "C" bz_status bz_measure_read(bz_stream *stream, bz_measure_read_args *args) {
  BZ_CHECK_ARGS("measure_read", args);
  BZ_TRY(bz::check_stream(stream, "measure_read", args->milliseconds));
  const uint32_t threads = stream->num_threads;
  const uint64_t share = args->bytes / threads / bz::READ_UNIT * bz::READ_UNIT;
  BZ_REQUIRE(share > 0, BZ_EINVAL, "measure_read: %llu bytes, must be at least %llu",
             static_cast<unsigned long long>(args->bytes), static_cast<unsigned long long>(threads * bz::READ_UNIT));
  auto *data = static_cast<std::byte *>(bz::host_alloc(share * threads));
  BZ_REQUIRE(data != nullptr, BZ_ENOMEM, "no memory for %llu bytes", static_cast<unsigned long long>(share * threads));
  // The clock is looked at once a megabyte.
  const uint64_t passes = std::max<uint64_t>(1, (uint64_t{1} << 20) / share);
  const bz::LimitKernels &kernels = *stream->kernels->limits;
  bz::measure(
      threads, args->milliseconds, [&](uint32_t t) { std::memset(data + t * share, 1, share); },
      [&](uint32_t t) {
        for (uint64_t i = 0; i < passes; i++) kernels.read(data + t * share, share);
        return passes * share;
      },
      &args->out_bytes, &args->out_nanoseconds);
  bz::host_free(data);
  return BZ_OK;
}

extern "C" bz_status bz_measure_products(bz_stream *stream, bz_measure_products_args *args) {
  BZ_CHECK_ARGS("measure_products", args);
  BZ_TRY(bz::check_stream(stream, "measure_products", args->milliseconds));
  BZ_REQUIRE(args->dtype == BZ_F32 || args->dtype == BZ_BF16 || args->dtype == BZ_I8, BZ_EINVAL,
             "measure_products: dtype %u, must be BZ_F32, BZ_BF16 or BZ_I8", args->dtype);
  if (args->with_library) return bz::onednn_measure(*stream, args);
  const bz::LimitKernels &kernels = *stream->kernels->limits;
  uint64_t (*kernel)() = kernels.f32;
  if (args->dtype == BZ_BF16) kernel = kernels.bf16;
  if (args->dtype == BZ_I8) kernel = kernels.int8;
  BZ_REQUIRE(kernel != nullptr, BZ_ENOSYS, "measure_products: %s has no instruction for this type",
             bz::isa_name(stream->isa));
  bz::measure(stream->num_threads, args->milliseconds, [](uint32_t) {}, [kernel](uint32_t) { return kernel(); },
              &args->out_products, &args->out_nanoseconds);
  return BZ_OK;
}
