#include "stream.h"

#include <cstring>

#include "../common/host_memory.h"

namespace bz {

static bz_status run(bz_stream *stream, const std::function<bz_status()> &op) {
  const bz_status status = op();
  if (stream->first_error == BZ_OK) stream->first_error = status;
  return status;
}

bz_status submit(bz_stream *stream, std::function<bz_status()> op) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "stream is NULL");
  if (stream->recording == nullptr) return run(stream, op);
  stream->recording->ops.push_back(std::move(op));
  return BZ_OK;
}

} // namespace bz

extern "C" {

int32_t bz_backend_score(void) { return 1; }

uint32_t bz_backend_info(char *buf, uint32_t cap) {
  static const char text[] = R"({"name":"ref","device":"host","isa":"scalar","features":[],"cores":1})";
  return bz::copy_text(text, sizeof text - 1, buf, cap);
}

bz_status bz_stream_create(const bz_stream_args *args, bz_stream **out) {
  BZ_CHECK_ARGS("stream_create", args);
  BZ_REQUIRE(out != nullptr, BZ_EINVAL, "stream_create: out is NULL");
  BZ_REQUIRE(args->isa == nullptr || std::strcmp(args->isa, "scalar") == 0, BZ_EINVAL,
             "unknown isa \"%.32s\"; the reference library has: scalar", args->isa);
  *out = new bz_stream;
  return BZ_OK;
}

void bz_stream_destroy(bz_stream *stream) {
  if (stream != nullptr) delete stream->recording;
  delete stream;
}

bz_status bz_stream_synchronize(bz_stream *stream) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "stream_synchronize: stream is NULL");
  const bz_status first = stream->first_error;
  stream->first_error = BZ_OK;
  return first;
}

bz_status bz_capture_begin(bz_stream *stream) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "capture_begin: stream is NULL");
  BZ_REQUIRE(stream->recording == nullptr, BZ_EINVAL, "capture_begin: the stream is recording already");
  stream->recording = new bz_graph;
  return BZ_OK;
}

bz_status bz_capture_end(bz_stream *stream, bz_graph **out) {
  BZ_REQUIRE(stream != nullptr && out != nullptr, BZ_EINVAL, "capture_end: stream or out is NULL");
  BZ_REQUIRE(stream->recording != nullptr, BZ_EINVAL, "capture_end: the stream is not recording");
  *out = stream->recording;
  stream->recording = nullptr;
  return BZ_OK;
}

bz_status bz_graph_launch(bz_stream *stream, bz_graph *graph) {
  BZ_REQUIRE(stream != nullptr && graph != nullptr, BZ_EINVAL, "graph_launch: stream or graph is NULL");
  BZ_REQUIRE(stream->recording == nullptr, BZ_EINVAL, "graph_launch: the stream is recording");
  for (const auto &op : graph->ops) BZ_TRY(bz::run(stream, op));
  return BZ_OK;
}

void bz_graph_destroy(bz_graph *graph) { delete graph; }

bz_status bz_mem_copy(bz_stream *stream, const bz_mem_copy_args *args) {
  BZ_TRY(bz::check_mem_copy(args));
  return bz::submit(stream, [a = *args] {
    if (a.bytes > 0) std::memcpy(a.dst, a.src, a.bytes);
    return BZ_OK;
  });
}

} // extern "C"
