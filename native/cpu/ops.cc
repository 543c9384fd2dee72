// Entry points of the ops that take no weight, one for each that baozi.h declares: checks, then the kernel of the
// stream's instruction set. op_traits() says how much work an op is and what scratch memory it takes.
#include "../common/check_ops.h"
#include "../common/dtype.h"
#include "attention_plan.h"
#include "kv_layout.h"
#include "matrix.h"
#include "route_scratch.h"
#include "sampling_scratch.h"
#include "stream.h"

namespace bz {

// An op that works through its rows: its widest matrix of x and y, a few instructions a value.
template <class Args> static OpTraits op_traits(const Args &a, uint64_t count, const bz_stream &) {
  uint64_t cols = 1;
  if constexpr (requires { a.x.cols; }) cols = a.x.cols;
  if constexpr (requires { a.y.cols; }) cols = a.y.cols > cols ? a.y.cols : cols;
  return {.work = count * cols};
}

// Few numbers, which one thread takes.
static OpTraits op_traits(const bz_scatter_ids_args &, uint64_t, const bz_stream &) { return {.work = 0}; }

static OpTraits op_traits(const bz_rope_kv_args &a, uint64_t count, const bz_stream &) {
  return {.work = count * a.qkv.cols * 2};
}

static OpTraits op_traits(const bz_attention_args &a, uint64_t, const bz_stream &stream) {
  return {.scratch_bytes = attention_scratch_bytes(shape_of(a), stream.num_threads)};
}

static OpTraits op_traits(const bz_latent_kv_args &a, uint64_t count, const bz_stream &) {
  return {.work = count * (a.kv.cols + uint64_t{a.num_heads} * a.rope_dim) * 2};
}

static OpTraits op_traits(const bz_latent_attention_args &a, uint64_t, const bz_stream &stream) {
  return {.scratch_bytes = latent_scratch_bytes(a, stream.num_threads)};
}

static OpTraits op_traits(const bz_linear_heads_args &a, uint64_t count, const bz_stream &) {
  return {.work = (count + 4) * a.num_heads * a.n * a.c / 16};
}

static OpTraits op_traits(const bz_selective_scan_args &a, uint64_t count, const bz_stream &) {
  return {.work = count * a.x.cols * (4 + uint64_t{a.state_dim} / 4)};
}

static OpTraits op_traits(const bz_logits_process_args &a, uint64_t count, const bz_stream &stream) {
  const uint64_t vocab_size = a.logits.cols, row_bytes = (vocab_size * 4 + 63) / 64 * 64;
  // A row that asks for nothing is read once.
  return {.work = count > 1 ? count * vocab_size / 4 : 0, .scratch_bytes = row_bytes * stream.num_threads};
}

// Threads take whole rows: one row is one thread's.
static OpTraits sampling_traits(const bz_matrix &logits, uint64_t count, const bz_stream &stream) {
  return {.work = count > 1 ? UINT64_MAX : 0,
          .scratch_bytes = sampling_scratch_bytes(logits.cols) * stream.num_threads};
}

static OpTraits op_traits(const bz_sample_args &a, uint64_t count, const bz_stream &stream) {
  return sampling_traits(a.logits, count, stream);
}

static OpTraits op_traits(const bz_logprobs_args &a, uint64_t count, const bz_stream &stream) {
  return sampling_traits(a.logits, count, stream);
}

static OpTraits op_traits(const bz_route_args &a, uint64_t count, const bz_stream &stream) {
  // Scores, and a look at each expert for each that is chosen.
  return {.work = count * a.x.cols * (4 + a.top_k),
          .scratch_bytes = route_scratch_bytes(a.x.cols) * stream.num_threads};
}

static OpTraits op_traits(const bz_combine_args &a, uint64_t count, const bz_stream &) {
  return {.work = count * a.y.cols * a.top_k};
}

static bz_status submit_copy(const char *op, bz_stream *stream, const bz_copy_args *args) {
  BZ_TRY(check_copy(op, stream, args));
  if (args->bytes == 0) return BZ_OK;
  return submit(stream, stream->kernels->copy, *args, {.work = args->bytes / 16});
}

static bz_status submit_transfer(const char *op, bz_stream *stream, const bz_copy_args *args) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "%s: stream is NULL", op);
  BZ_TRY(stream->require_running(op));
  return submit_copy(op, stream, args);
}

} // namespace bz

extern "C" {

// Both kinds of memory are the host's: the three copies differ in what may be recorded.
bz_status bz_mem_copy(bz_stream *stream, const bz_copy_args *args) { return bz::submit_copy("mem_copy", stream, args); }
bz_status bz_upload(bz_stream *stream, const bz_copy_args *args) { return bz::submit_transfer("upload", stream, args); }
bz_status bz_download(bz_stream *stream, const bz_copy_args *args) {
  return bz::submit_transfer("download", stream, args);
}

#define BZ_ENTRY(op, count)                                                                              \
  bz_status bz_##op(bz_stream *stream, const bz_##op##_args *args) {                                     \
    BZ_REQUIRE(stream != nullptr, BZ_EINVAL, #op ": stream is NULL");                                    \
    BZ_TRY(bz::check_##op(args));                                                                        \
    if (args->count == 0) return BZ_OK;                                                                  \
    return bz::submit(stream, stream->kernels->op, *args, bz::op_traits(*args, args->count, *stream));   \
  }
BZ_MATRIX_OPS(BZ_ENTRY)
#undef BZ_ENTRY

bz_status bz_kv_cache_bytes(bz_kv_cache_args *args) {
  BZ_TRY(bz::check_kv_cache(args));
  args->out_bytes = uint64_t{args->num_blocks} * args->block_size * args->num_kv_heads *
                    bz::padded_dim(args->head_dim) * bz::dtype_bytes(args->kv_dtype);
  return BZ_OK;
}

bz_status bz_latent_cache_bytes(bz_latent_cache_args *args) {
  BZ_TRY(bz::check_latent_cache(args));
  args->out_bytes = uint64_t{args->num_blocks} * args->block_size * bz::latent_row(args->rank, args->rope_dim) *
                    bz::dtype_bytes(args->kv_dtype);
  return BZ_OK;
}

} // extern "C"
