// The null backend: every op checks its args and computes nothing, weights hold nothing, a KV block is 64 bytes.
//
// It takes the arithmetic out of an engine and leaves everything else as it is, for measuring what the rest costs. A
// sampled token follows from its position alone. Not for serving.
#include <cstring>

#include "../common/grown_args.h"
#include "../common/host_memory.h"
#include "../common/status.h"
#include "../common/weight_args.h"

struct bz_stream {
  bool is_recording;
};
struct bz_weight {
  uint32_t n, c;
};
struct bz_graph {};

static constexpr uint64_t SMALLEST_BYTES = 64;

#define BZ_NULL_OP(op)                                                         \
  bz_status bz_##op(bz_stream *stream, const bz_##op##_args *args) {           \
    BZ_CHECK_ARGS(#op, args);                                                  \
    BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "%s: stream is NULL", #op);       \
    return BZ_OK;                                                              \
  }

extern "C" {

int32_t bz_backend_score(void) { return 1; }

uint32_t bz_backend_info(char *buf, uint32_t cap) {
  static const char text[] = R"({"name":"null","device":"none","isa":"none","features":[],"cores":0})";
  return bz::copy_text(text, sizeof text - 1, buf, cap);
}

bz_status bz_stream_create(const bz_stream_args *args, bz_stream **out) {
  BZ_CHECK_ARGS("stream_create", args);
  BZ_REQUIRE(out != nullptr, BZ_EINVAL, "stream_create: out is NULL");
  *out = new bz_stream{false};
  return BZ_OK;
}

void bz_stream_destroy(bz_stream *stream) { delete stream; }

bz_status bz_stream_synchronize(bz_stream *) { return BZ_OK; }

bz_status bz_capture_begin(bz_stream *stream) {
  BZ_REQUIRE(!stream->is_recording, BZ_EINVAL, "capture_begin: the stream is recording already");
  stream->is_recording = true;
  return BZ_OK;
}

bz_status bz_capture_end(bz_stream *stream, bz_graph **out) {
  BZ_REQUIRE(stream->is_recording, BZ_EINVAL, "capture_end: the stream is not recording");
  stream->is_recording = false;
  *out = new bz_graph;
  return BZ_OK;
}

bz_status bz_graph_launch(bz_stream *, bz_graph *) { return BZ_OK; }

void bz_graph_destroy(bz_graph *graph) { delete graph; }

bz_status bz_mem_copy(bz_stream *, const bz_mem_copy_args *args) {
  BZ_TRY(bz::check_mem_copy(args));
  if (args->bytes > 0) std::memcpy(args->dst, args->src, args->bytes);
  return BZ_OK;
}

bz_status bz_weight_create(bz_stream *, const bz_weight_args *args, bz_weight **out) {
  BZ_REQUIRE(out != nullptr, BZ_EINVAL, "weight_create: out is NULL");
  BZ_TRY(bz::check_weight(args, false));
  *out = new bz_weight{args->n, args->c};
  return BZ_OK;
}

void bz_weight_destroy(bz_weight *weight) { delete weight; }

bz_status bz_weight_info(const bz_weight *weight, bz_weight_info_args *args) {
  BZ_REQUIRE(weight != nullptr, BZ_EINVAL, "weight_info: weight is NULL");
  BZ_CHECK_ARGS("weight_info", args);
  args->out_bits = 0;
  args->out_bytes = SMALLEST_BYTES;
  return BZ_OK;
}

bz_status bz_weight_plan(const bz_weight_args *args, uint64_t *out_bytes) {
  BZ_REQUIRE(out_bytes != nullptr, BZ_EINVAL, "weight_plan: out_bytes is NULL");
  BZ_TRY(bz::check_weight(args, true));
  *out_bytes = SMALLEST_BYTES;
  return BZ_OK;
}

bz_status bz_kv_cache_bytes(bz_kv_cache_args *args) {
  BZ_CHECK_ARGS("kv_cache_bytes", args);
  args->out_bytes = SMALLEST_BYTES * args->num_blocks;
  return BZ_OK;
}

BZ_NULL_OP(embedding)
BZ_NULL_OP(rms_norm)
BZ_NULL_OP(linear)
BZ_NULL_OP(gated_act)
BZ_NULL_OP(rope_kv)
BZ_NULL_OP(attention)
BZ_NULL_OP(gather_rows)
BZ_NULL_OP(add)

// No row of the null library fails.
static void pass_rows(bz_status *row_status, uint32_t num_rows) {
  for (uint32_t r = 0; row_status != nullptr && r < num_rows; r++) row_status[r] = BZ_OK;
}

bz_status bz_logits_process(bz_stream *stream, const bz_logits_process_args *args) {
  bz_logits_process_args a;
  BZ_TRY(bz::take_args("logits_process", args, offsetof(bz_logits_process_args, row_status), &a));
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "logits_process: stream is NULL");
  pass_rows(a.row_status, a.num_requests);
  return BZ_OK;
}

// Tokens of the middle of the vocabulary, where there are words and no special tokens.
bz_status bz_sample(bz_stream *stream, const bz_sample_args *args) {
  bz_sample_args a;
  BZ_TRY(bz::take_args("sample", args, offsetof(bz_sample_args, row_status), &a));
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "sample: stream is NULL");
  const uint32_t first = a.vocab_size / 4, count = a.vocab_size / 2 + 1;
  for (uint32_t r = 0; r < a.num_requests; r++)
    a.out[r] = static_cast<int32_t>(first + static_cast<uint32_t>(a.positions[r]) * 7919u % count);
  pass_rows(a.row_status, a.num_requests);
  return BZ_OK;
}

bz_status bz_logprobs(bz_stream *stream, const bz_logprobs_args *args) {
  BZ_CHECK_ARGS("logprobs", args);
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "logprobs: stream is NULL");
  for (uint32_t r = 0; r < args->num_requests; r++) {
    args->out_logprob[r] = 0;
    args->out_rank[r] = 1;
    for (uint32_t i = 0; i < args->num_top; i++) {
      args->out_top_ids[r * args->num_top + i] = static_cast<int32_t>(i);
      args->out_top_logprobs[r * args->num_top + i] = 0;
    }
  }
  return BZ_OK;
}

bz_status bz_measure_read(bz_stream *, bz_measure_read_args *args) {
  BZ_CHECK_ARGS("measure_read", args);
  return bz::fail(BZ_ENOSYS, "measure_read: not in the null library");
}

bz_status bz_measure_products(bz_stream *, bz_measure_products_args *args) {
  BZ_CHECK_ARGS("measure_products", args);
  return bz::fail(BZ_ENOSYS, "measure_products: not in the null library");
}

} // extern "C"
