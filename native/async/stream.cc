// The async library: the ABI over the CPU library's kernels, as late as the contract allows.
//
// It is there for tests. What is given to a stream (ops, copies, graph launches) is checked and queued; it runs when
// the caller waits for it: in bz_event_synchronize and bz_stream_synchronize, and one entry a call in bz_event_query.
// So a result that is read too early is missing, and an input that is changed too early is read changed. To show both:
//
//   - staging memory that a download will fill is full of 0xFF bytes (NaN, -1) from the call on;
//   - staging memory that an upload has read is full of them afterwards;
//   - copies refuse memory of the wrong kind;
//   - with BAOZI_ASYNC_PROTECT=1 in the environment, device memory cannot be touched except while queued work runs, and
//     staging memory cannot be while ops run: an access ends the process at that instruction.
//
// Its traits are those of a device that replays padded steps: bz_library_traits.
//
// An op is recorded by the CPU library as a graph of its own, which checks and copies its args, and launched when its
// turn comes. libbaozi_cpu.so is loaded from the folder that this library lies in.
#include "stream.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "../common/check_ops.h"
#include "cpu.h"

namespace bz {

StreamBase &base_of(bz_stream *stream) { return *stream; }

// A graph of the CPU library, from what `give` gives its stream.
template <class Give> static bz_status record(bz_stream *stream, Give give, CpuGraph *out) {
  BZ_TRY(relay(cpu().capture_begin(stream->cpu)));
  const bz_status status = relay(give());
  bz_graph *graph = nullptr;
  if (const bz_status ended = cpu().capture_end(stream->cpu, &graph); ended != BZ_OK) return relay(ended);
  *out = CpuGraph(graph, cpu().graph_destroy);
  return status;
}

static bz_status launch(bz_stream *stream, const CpuGraph &graph) {
  const bz_status status = relay(cpu().graph_launch(stream->cpu, graph.get()));
  if (status != BZ_OK) cpu().stream_synchronize(stream->cpu); // it is told here, and not once more
  return status;
}

template <class Args>
static bz_status defer(const char *op, bz_stream *stream, bz_status (*run)(bz_stream *, const Args *),
                       const Args *args) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "%s: stream is NULL", op);
  if (stream->mode != Mode::run) return relay(run(stream->cpu, args));
  CpuGraph graph;
  BZ_TRY(record(stream, [&] { return run(stream->cpu, args); }, &graph));
  stream->enqueue(Touches::device, [stream, graph] { return launch(stream, graph); });
  return BZ_OK;
}

static bz_status require_memory(const char *op, const char *field, const bz_stream *stream, uint32_t kind,
                                const void *data, uint64_t bytes) {
  BZ_REQUIRE(bytes == 0 || stream->owns(kind, data, bytes), BZ_EINVAL, "%s: %s is not %s memory of this stream", op,
             field, kind == BZ_MEM_DEVICE ? "device" : "staging");
  return BZ_OK;
}

constexpr int POISON = 0xff;

} // namespace bz

using bz::cpu;
using bz::relay;

bz_stream::~bz_stream() {
  queue.clear(); // what nobody waited for
  while (!memory.empty()) bz_mem_free(this, reinterpret_cast<void *>(memory.begin()->first));
  bz::cpu().stream_destroy(cpu);
}

void bz_stream::enqueue(bz::Touches touches, std::function<bz_status()> run) {
  queue.push_back({touches, std::move(run)});
  given++;
}

void bz_stream::step() {
  const bz::Entry entry = std::move(queue.front());
  queue.pop_front();
  allow(true, entry.touches == bz::Touches::both);
  const bz_status status = entry.run();
  allow(false, true);
  passed++;
  if (status != BZ_OK) note_failure(status, passed);
}

void bz_stream::pass(uint64_t place) {
  while (passed < place) step();
}

bool bz_stream::has_passed(uint64_t place) {
  if (passed < place) step();
  return passed >= place;
}

extern "C" {

bz_status bz_stream_create(const bz_stream_args *args, bz_stream **out) {
  BZ_CHECK_ARGS("stream_create", args);
  BZ_REQUIRE(out != nullptr, BZ_EINVAL, "stream_create: out is NULL");
  bz_stream *inner = nullptr;
  BZ_TRY(relay(cpu().stream_create(args, &inner)));
  auto *stream = new bz_stream;
  stream->cpu = inner;
  const char *protect = std::getenv("BAOZI_ASYNC_PROTECT");
  stream->is_protecting = protect != nullptr && std::strcmp(protect, "1") == 0;
  *out = stream;
  return BZ_OK;
}

void bz_stream_destroy(bz_stream *stream) { delete stream; }

bz_status bz_upload(bz_stream *stream, const bz_copy_args *args) {
  BZ_TRY(bz::check_copy("upload", stream, args));
  BZ_TRY(stream->require_running("upload"));
  BZ_TRY(bz::require_memory("upload", "dst", stream, BZ_MEM_DEVICE, args->dst, args->bytes));
  BZ_TRY(bz::require_memory("upload", "src", stream, BZ_MEM_STAGING, args->src, args->bytes));
  if (args->bytes == 0) return BZ_OK;
  stream->enqueue(bz::Touches::both, [a = *args] {
    std::memcpy(a.dst, a.src, a.bytes);
    std::memset(const_cast<void *>(a.src), bz::POISON, a.bytes);
    return BZ_OK;
  });
  return BZ_OK;
}

bz_status bz_download(bz_stream *stream, const bz_copy_args *args) {
  BZ_TRY(bz::check_copy("download", stream, args));
  BZ_TRY(stream->require_running("download"));
  BZ_TRY(bz::require_memory("download", "dst", stream, BZ_MEM_STAGING, args->dst, args->bytes));
  BZ_TRY(bz::require_memory("download", "src", stream, BZ_MEM_DEVICE, args->src, args->bytes));
  if (args->bytes == 0) return BZ_OK;
  std::memset(args->dst, bz::POISON, args->bytes);
  stream->enqueue(bz::Touches::both, [a = *args] {
    std::memcpy(a.dst, a.src, a.bytes);
    return BZ_OK;
  });
  return BZ_OK;
}

bz_status bz_mem_copy(bz_stream *stream, const bz_copy_args *args) {
  BZ_TRY(bz::check_copy("mem_copy", stream, args));
  BZ_TRY(bz::require_memory("mem_copy", "dst", stream, BZ_MEM_DEVICE, args->dst, args->bytes));
  BZ_TRY(bz::require_memory("mem_copy", "src", stream, BZ_MEM_DEVICE, args->src, args->bytes));
  return bz::defer("mem_copy", stream, cpu().mem_copy, args);
}

#define BZ_DEFER(op, count)                                          \
  bz_status bz_##op(bz_stream *stream, const bz_##op##_args *args) { \
    return bz::defer(#op, stream, cpu().op, args);                   \
  }
BZ_OPS(BZ_DEFER)
#undef BZ_DEFER

bz_status bz_capture_begin(bz_stream *stream) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "capture_begin: stream is NULL");
  BZ_TRY(relay(cpu().capture_begin(stream->cpu)));
  stream->mode = bz::Mode::record;
  return BZ_OK;
}

bz_status bz_capture_end(bz_stream *stream, bz_graph **out) {
  BZ_REQUIRE(stream != nullptr && out != nullptr, BZ_EINVAL, "capture_end: stream or out is NULL");
  bz_graph *graph = nullptr;
  BZ_TRY(relay(cpu().capture_end(stream->cpu, &graph)));
  stream->mode = bz::Mode::run;
  *out = new bz_graph{stream->id, bz::CpuGraph(graph, cpu().graph_destroy)};
  return BZ_OK;
}

bz_status bz_graph_launch(bz_stream *stream, bz_graph *graph) {
  BZ_REQUIRE(stream != nullptr && graph != nullptr, BZ_EINVAL, "graph_launch: stream or graph is NULL");
  BZ_TRY(stream->require_running("graph_launch"));
  BZ_REQUIRE(graph->stream_id == stream->id, BZ_EINVAL, "graph_launch: another stream recorded the graph");
  stream->enqueue(bz::Touches::device, [stream, recorded = graph->cpu] { return bz::launch(stream, recorded); });
  return BZ_OK;
}

void bz_graph_destroy(bz_graph *graph) { delete graph; }

bz_status bz_plan_begin(bz_stream *stream) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "plan_begin: stream is NULL");
  BZ_TRY(relay(cpu().plan_begin(stream->cpu)));
  stream->mode = bz::Mode::plan;
  return BZ_OK;
}

bz_status bz_plan_end(bz_stream *stream, bz_plan_args *args) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "plan_end: stream is NULL");
  BZ_TRY(relay(cpu().plan_end(stream->cpu, args)));
  stream->mode = bz::Mode::run;
  return BZ_OK;
}

bz_status bz_stream_reserve(bz_stream *stream, uint64_t bytes) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "stream_reserve: stream is NULL");
  return relay(cpu().stream_reserve(stream->cpu, bytes));
}

} // extern "C"
