#include "stream.h"

#include <omp.h>

#include <chrono>
#include <new>

#include "../common/cpus.h"
#include "../common/host_memory.h"
#include "weights_ahead.h"

namespace bz {

// Below this many element operations waking other threads costs more than it saves.
constexpr uint64_t PARALLEL_WORK = 16384;

static uint32_t spins_of(uint32_t us) {
  constexpr int PAUSES = 1000;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < PAUSES; i++) spin_pause();
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
  const double spins = us * PAUSES / (took.count() + 1e-3);
  return spins < 1e9 ? static_cast<uint32_t>(spins) + 1 : 1000000000u;
}

// In a large page from the start: products write and read all of it within microseconds.
static uint64_t scratch_size(uint64_t bytes) { return (bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE; }

static bz_status reserve_scratch(bz_stream *stream, uint64_t bytes) {
  if (bytes <= stream->scratch_bytes) return BZ_OK;
  const uint64_t size = scratch_size(bytes);
  void *grown = host_alloc(size);
  BZ_REQUIRE(grown != nullptr, BZ_ENOMEM, "no memory for %llu bytes of scratch", static_cast<unsigned long long>(size));
  host_free(stream->team.scratch);
  stream->team.scratch = static_cast<std::byte *>(grown);
  stream->scratch_bytes = size;
  return BZ_OK;
}

// The first product from op i on; count: there is none.
static size_t next_product(const Op *ops, size_t count, size_t i) {
  while (i < count && ops[i].traits.weight == nullptr) i++;
  return i;
}

static WeightsAhead ahead_of(const OpTraits &product, const Team &team) {
  return team.n == 1 ? WeightsAhead() : WeightsAhead(*product.weight, product.num_tokens, team.tid, team.n);
}

constexpr uint32_t ASKS_FIRST = 16; // before a thread waits

// Runs ops that share one region. Threads: at most n; the calling thread is one of them.
static void run_region(TeamState &state, const Op *ops, size_t count, uint32_t n) {
  state.next.store(0, std::memory_order_relaxed);
  const auto run = [&](Team team) {
    WeightsAhead ahead;
    team.ahead = &ahead;
    for (size_t i = 0, next = 0; i < count; i++) {
      ops[i].call(ops[i].fn, ops[i].args, team);
      if (i + 1 == count) return;
      if (next <= i) {
        next = next_product(ops, count, i + 1);
        ahead = next < count ? ahead_of(ops[next].traits, team) : WeightsAhead();
      }
      // Even the last to arrive does not start with nothing.
      for (uint32_t asks = 0; asks < ASKS_FIRST && ahead.ask(); asks++) {}
      team.barrier();
    }
  };
  if (n == 1) return run(Team{0, 1, &state});
#pragma omp parallel num_threads(n)
  run(Team{static_cast<uint32_t>(omp_get_thread_num()), static_cast<uint32_t>(omp_get_num_threads()), &state});
}

static bz_status run_ops(bz_stream *stream, const Op *ops, size_t count, bool alone) {
  TeamState &state = stream->team;
  state.failing.store(false, std::memory_order_relaxed);
  state.status = BZ_OK;
  stream->given++;
  run_region(state, ops, count, alone ? 1 : stream->num_threads);
  if (state.status == BZ_OK) return BZ_OK;
  fail(state.status, "%s", state.words);
  stream->note_failure(state.status);
  return state.status;
}

bz_status submit_op(bz_stream *stream, const Op &op) {
  if (stream->mode == Mode::plan) {
    stream->planned_scratch_bytes = std::max(stream->planned_scratch_bytes, op.traits.scratch_bytes);
    return BZ_OK;
  }
  BZ_TRY(reserve_scratch(stream, op.traits.scratch_bytes));
  if (stream->mode == Mode::run) return run_ops(stream, &op, 1, op.traits.work < PARALLEL_WORK);
  try {
    stream->recording->ops.push_back(op);
  } catch (const std::bad_alloc &) {
    return fail(BZ_ENOMEM, "no memory to record an op");
  }
  return BZ_OK;
}

} // namespace bz

bz::StreamBase &bz::base_of(bz_stream *stream) { return *stream; }

bz_stream::~bz_stream() {
  delete recording;
  bz::host_free(team.scratch);
}

extern "C" bz_status bz_stream_create(const bz_stream_args *args, bz_stream **out) {
  BZ_CHECK_ARGS("stream_create", args);
  BZ_REQUIRE(out != nullptr, BZ_EINVAL, "stream_create: out is NULL");
  BZ_REQUIRE(args->reserved == 0, BZ_EINVAL, "stream_create: reserved is %u, must be 0", args->reserved);
  BZ_REQUIRE(args->num_threads <= 4096, BZ_EINVAL, "stream_create: num_threads is %u, the limit is 4096",
             args->num_threads);
  bz::Isa isa;
  BZ_TRY(bz::choose_isa(args->isa, &isa));
  auto *stream = new (std::nothrow) bz_stream;
  BZ_REQUIRE(stream != nullptr, BZ_ENOMEM, "stream_create: no memory");
  const uint32_t cpus = bz::usable_cpus();
  stream->num_threads = args->num_threads != 0 ? args->num_threads : cpus;
  stream->isa = isa;
  stream->kernels = bz::kernels_of(isa);
  // In a barrier the others arrive within microseconds, unless they wait for a processor: then spinning is in their
  // way.
  constexpr uint32_t BARRIER_SPIN_US = 200;
  const uint32_t spin_us = args->spin_us != 0 ? args->spin_us : BARRIER_SPIN_US;
  stream->team.spins = stream->num_threads > cpus ? 16 : bz::spins_of(spin_us);
  *out = stream;
  return BZ_OK;
}

extern "C" void bz_stream_destroy(bz_stream *stream) { delete stream; }

extern "C" bz_status bz_capture_begin(bz_stream *stream) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "capture_begin: stream is NULL");
  BZ_TRY(stream->require_running("capture_begin"));
  stream->recording = new (std::nothrow) bz_graph{stream->id, {}};
  BZ_REQUIRE(stream->recording != nullptr, BZ_ENOMEM, "capture_begin: no memory");
  stream->mode = bz::Mode::record;
  return BZ_OK;
}

extern "C" bz_status bz_capture_end(bz_stream *stream, bz_graph **out) {
  BZ_REQUIRE(stream != nullptr && out != nullptr, BZ_EINVAL, "capture_end: stream or out is NULL");
  BZ_REQUIRE(stream->mode == bz::Mode::record, BZ_EINVAL, "capture_end: the stream is not recording");
  stream->recording->ops.shrink_to_fit();
  *out = stream->recording;
  stream->recording = nullptr;
  stream->mode = bz::Mode::run;
  return BZ_OK;
}

extern "C" bz_status bz_graph_launch(bz_stream *stream, bz_graph *graph) {
  BZ_REQUIRE(stream != nullptr && graph != nullptr, BZ_EINVAL, "graph_launch: stream or graph is NULL");
  BZ_TRY(stream->require_running("graph_launch"));
  BZ_REQUIRE(graph->stream_id == stream->id, BZ_EINVAL, "graph_launch: another stream recorded the graph");
  return bz::run_ops(stream, graph->ops.data(), graph->ops.size(), false);
}

extern "C" void bz_graph_destroy(bz_graph *graph) { delete graph; }

extern "C" bz_status bz_plan_begin(bz_stream *stream) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "plan_begin: stream is NULL");
  BZ_TRY(stream->require_running("plan_begin"));
  stream->planned_scratch_bytes = 0;
  stream->mode = bz::Mode::plan;
  return BZ_OK;
}

extern "C" bz_status bz_plan_end(bz_stream *stream, bz_plan_args *args) {
  BZ_CHECK_ARGS("plan_end", args);
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "plan_end: stream is NULL");
  BZ_REQUIRE(stream->mode == bz::Mode::plan, BZ_EINVAL, "plan_end: the stream is not planning");
  stream->mode = bz::Mode::run;
  args->out_scratch_bytes = bz::scratch_size(stream->planned_scratch_bytes);
  return BZ_OK;
}

extern "C" bz_status bz_stream_reserve(bz_stream *stream, uint64_t bytes) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "stream_reserve: stream is NULL");
  BZ_TRY(stream->require_running("stream_reserve"));
  return bz::reserve_scratch(stream, bytes);
}
