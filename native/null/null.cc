// The null backend: every op checks its args and computes nothing, weights hold nothing, a KV block is 64 bytes.
//
// It takes the arithmetic out of an engine and leaves everything else as it is, for measuring what the rest costs. A
// sampled token follows from its position alone. Not for serving. Its streams are the reference library's.
#include "../common/check_ops.h"
#include "../common/weight_args.h"
#include "../ref/stream.h"

struct bz_weight {
  uint32_t n, c;
  bz::CountedBytes counted;
};

static constexpr uint64_t SMALLEST_BYTES = 64;

bool bz::takes_activation(uint32_t dtype) { return dtype == BZ_F32; }

// Whether somebody reads what the op writes.
template <class Args> static bool has_results(const Args &a) {
  if constexpr (requires { a.row_status; }) return a.row_status != nullptr;
  else return false;
}
static bool has_results(const bz_sample_args &) { return true; }
static bool has_results(const bz_logprobs_args &) { return true; }
static bool has_results(const bz_scatter_ids_args &) { return true; }

// No row of the null library fails.
template <class Args> static bz_status run(const Args &a, uint32_t count) {
  if constexpr (requires { a.row_status; })
    for (uint32_t r = 0; a.row_status != nullptr && r < count; r++) a.row_status[r] = BZ_OK;
  return BZ_OK;
}

// Tokens of the middle of the vocabulary, where there are words and no special tokens.
static bz_status run(const bz_sample_args &a, uint32_t count) {
  const uint32_t first = a.logits.cols / 4, ids = a.logits.cols / 2 + 1;
  for (uint32_t r = 0; r < count; r++)
    a.out[r] = static_cast<int32_t>(first + static_cast<uint32_t>(a.positions[r]) * 7919u % ids);
  for (uint32_t r = 0; a.row_status != nullptr && r < count; r++) a.row_status[r] = BZ_OK;
  return BZ_OK;
}

static bz_status run(const bz_logprobs_args &a, uint32_t count) {
  for (uint32_t r = 0; r < count; r++) {
    a.out_logprob[r] = 0;
    a.out_rank[r] = 1;
    for (uint32_t i = 0; i < a.num_top; i++) {
      a.out_top_ids[r * a.num_top + i] = static_cast<int32_t>(i);
      a.out_top_logprobs[r * a.num_top + i] = 0;
    }
  }
  return BZ_OK;
}

static bz_status run(const bz_scatter_ids_args &a, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    const int64_t from = a.src_rows[i], to = a.dst_rows[i];
    if (from >= 0 && from < a.num_src && to >= 0 && to < a.num_dst) a.dst[to] = a.src[from];
  }
  return BZ_OK;
}

extern "C" {

int32_t bz_backend_score(void) { return 1; }

uint32_t bz_backend_info(char *buf, uint32_t cap) {
  static const char text[] = R"({"name":"null","device":"none","isa":"none","features":[],"cores":0})";
  return bz::copy_text(text, sizeof text - 1, buf, cap);
}

// Those of the CPU library: what is measured is its engine.
bz_status bz_library_traits(bz_traits_args *args) {
  BZ_CHECK_ARGS("library_traits", args);
  *args = {
      .args_bytes = sizeof *args,
      .out_activation_dtype = BZ_F32,
      .out_is_async = 0,
      .out_alignment = 64,
      .out_slice_tokens = 128,
      .out_logit_rows = 32,
      .out_max_graphs = 512,
      .out_capture_rows = 1,
      .out_kv_dtypes = 1u << BZ_F32 | 1u << BZ_BF16,
      .out_block_multiple = 16,
  };
  return BZ_OK;
}

bz_status bz_weight_create(bz_stream *stream, const bz_weight_args *args, bz_weight **out) {
  BZ_REQUIRE(stream != nullptr && out != nullptr, BZ_EINVAL, "weight_create: stream or out is NULL");
  BZ_TRY(bz::check_weight(args, false));
  *out = new bz_weight{args->n, args->c, {}};
  (*out)->counted.count(stream->weight_bytes, SMALLEST_BYTES);
  return BZ_OK;
}

bz_status bz_weight_plan(bz_stream *stream, const bz_weight_args *args, bz_weight **out) {
  BZ_REQUIRE(stream != nullptr && out != nullptr, BZ_EINVAL, "weight_plan: stream or out is NULL");
  BZ_TRY(bz::check_weight(args, true));
  *out = new bz_weight{args->n, args->c, {}};
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

bz_status bz_kv_cache_bytes(bz_kv_cache_args *args) {
  BZ_CHECK_ARGS("kv_cache_bytes", args);
  args->out_bytes = SMALLEST_BYTES * args->num_blocks;
  return BZ_OK;
}

bz_status bz_latent_cache_bytes(bz_latent_cache_args *args) {
  BZ_CHECK_ARGS("latent_cache_bytes", args);
  args->out_bytes = SMALLEST_BYTES * args->num_blocks;
  return BZ_OK;
}

#define BZ_ENTRY(op, count)                                                            \
  bz_status bz_##op(bz_stream *stream, const bz_##op##_args *args) {                   \
    BZ_CHECK_ARGS(#op, args);                                                          \
    BZ_REQUIRE(stream != nullptr, BZ_EINVAL, #op ": stream is NULL");                  \
    if (!has_results(*args)) return BZ_OK;                                             \
    return bz::submit(stream, [a = *args] { return run(a, a.count); });                \
  }
BZ_OPS(BZ_ENTRY)
#undef BZ_ENTRY

bz_status bz_measure_read(bz_stream *, bz_measure_read_args *args) {
  BZ_CHECK_ARGS("measure_read", args);
  return bz::fail(BZ_ENOSYS, "measure_read: not in the null library");
}

bz_status bz_measure_products(bz_stream *, bz_measure_products_args *args) {
  BZ_CHECK_ARGS("measure_products", args);
  return bz::fail(BZ_ENOSYS, "measure_products: not in the null library");
}

} // extern "C"
