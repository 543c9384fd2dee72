#include "stream.h"

#include <cstring>

#include "../common/check_ops.h"

namespace bz {

static bz_status run(bz_stream *stream, const std::function<bz_status()> &op) {
  const bz_status status = op();
  if (status != BZ_OK) stream->note_failure(status);
  return status;
}

bz_status submit(bz_stream *stream, std::function<bz_status()> op) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "stream is NULL");
  if (stream->mode == Mode::plan) return BZ_OK;
  if (stream->mode == Mode::record) {
    stream->recording->ops.push_back(std::move(op));
    return BZ_OK;
  }
  stream->given++;
  return run(stream, op);
}

StreamBase &base_of(bz_stream *stream) { return *stream; }

static bz_status copy(const char *op, bz_stream *stream, const bz_copy_args *args) {
  BZ_TRY(check_copy(op, stream, args));
  return submit(stream, [a = *args] {
    if (a.bytes > 0) std::memcpy(a.dst, a.src, a.bytes);
    return BZ_OK;
  });
}

} // namespace bz

extern "C" {

bz_status bz_stream_create(const bz_stream_args *args, bz_stream **out) {
  BZ_CHECK_ARGS("stream_create", args);
  BZ_REQUIRE(out != nullptr, BZ_EINVAL, "stream_create: out is NULL");
  BZ_REQUIRE(args->isa == nullptr || std::strcmp(args->isa, "scalar") == 0, BZ_EINVAL,
             "unknown isa \"%.32s\"; this library has: scalar", args->isa);
  *out = new bz_stream;
  return BZ_OK;
}

void bz_stream_destroy(bz_stream *stream) {
  if (stream != nullptr) delete stream->recording;
  delete stream;
}

bz_status bz_capture_begin(bz_stream *stream) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "capture_begin: stream is NULL");
  BZ_TRY(stream->require_running("capture_begin"));
  stream->recording = new bz_graph{stream->id, {}};
  stream->mode = bz::Mode::record;
  return BZ_OK;
}

bz_status bz_capture_end(bz_stream *stream, bz_graph **out) {
  BZ_REQUIRE(stream != nullptr && out != nullptr, BZ_EINVAL, "capture_end: stream or out is NULL");
  BZ_REQUIRE(stream->mode == bz::Mode::record, BZ_EINVAL, "capture_end: the stream is not recording");
  *out = stream->recording;
  stream->recording = nullptr;
  stream->mode = bz::Mode::run;
  return BZ_OK;
}

bz_status bz_graph_launch(bz_stream *stream, bz_graph *graph) {
  BZ_REQUIRE(stream != nullptr && graph != nullptr, BZ_EINVAL, "graph_launch: stream or graph is NULL");
  BZ_TRY(stream->require_running("graph_launch"));
  BZ_REQUIRE(graph->stream_id == stream->id, BZ_EINVAL, "graph_launch: another stream recorded the graph");
  stream->given++;
  for (const auto &op : graph->ops) BZ_TRY(bz::run(stream, op));
  return BZ_OK;
}

void bz_graph_destroy(bz_graph *graph) { delete graph; }

// Ops take the memory they need from the process while they run: there is no scratch to speak of.
bz_status bz_plan_begin(bz_stream *stream) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "plan_begin: stream is NULL");
  BZ_TRY(stream->require_running("plan_begin"));
  stream->mode = bz::Mode::plan;
  return BZ_OK;
}

bz_status bz_plan_end(bz_stream *stream, bz_plan_args *args) {
  BZ_CHECK_ARGS("plan_end", args);
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "plan_end: stream is NULL");
  BZ_REQUIRE(stream->mode == bz::Mode::plan, BZ_EINVAL, "plan_end: the stream is not planning");
  stream->mode = bz::Mode::run;
  args->out_scratch_bytes = 0;
  return BZ_OK;
}

bz_status bz_stream_reserve(bz_stream *stream, uint64_t) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "stream_reserve: stream is NULL");
  return stream->require_running("stream_reserve");
}

bz_status bz_mem_copy(bz_stream *stream, const bz_copy_args *args) { return bz::copy("mem_copy", stream, args); }

bz_status bz_upload(bz_stream *stream, const bz_copy_args *args) {
  if (stream != nullptr) BZ_TRY(stream->require_running("upload"));
  return bz::copy("upload", stream, args);
}

bz_status bz_download(bz_stream *stream, const bz_copy_args *args) {
  if (stream != nullptr) BZ_TRY(stream->require_running("download"));
  return bz::copy("download", stream, args);
}

} // extern "C"
