// Entry points of the ops: checks, the kernel of the stream's instruction set, and what the threads need to know.
#include "../common/check_ops.h"
#include "../common/dtype.h"
#include "../common/host_memory.h"
#include "attention_plan.h"
#include "sampling_scratch.h"
#include "stream.h"

using bz::submit;

#define BZ_CHECK_STREAM(op) BZ_REQUIRE(stream != nullptr, BZ_EINVAL, op ": stream is NULL")

extern "C" {

bz_status bz_mem_copy(bz_stream *stream, const bz_mem_copy_args *args) {
  BZ_CHECK_STREAM("mem_copy");
  BZ_TRY(bz::check_mem_copy(args));
  if (args->bytes == 0) return BZ_OK;
  return submit(stream, stream->kernels->mem_copy, *args, {.work = args->bytes / 16});
}

bz_status bz_rms_norm(bz_stream *stream, const bz_rms_norm_args *args) {
  BZ_CHECK_STREAM("rms_norm");
  BZ_TRY(bz::check_rms_norm(args));
  if (args->num_tokens == 0) return BZ_OK;
  return submit(stream, stream->kernels->rms_norm, *args, {.work = uint64_t{args->num_tokens} * args->c});
}

bz_status bz_gated_act(bz_stream *stream, const bz_gated_act_args *args) {
  BZ_CHECK_STREAM("gated_act");
  BZ_TRY(bz::check_gated_act(args));
  if (args->num_tokens == 0) return BZ_OK;
  return submit(stream, stream->kernels->gated_act, *args, {.work = uint64_t{args->num_tokens} * args->f * 4});
}

bz_status bz_rope_kv(bz_stream *stream, const bz_rope_kv_args *args) {
  BZ_CHECK_STREAM("rope_kv");
  BZ_TRY(bz::check_rope_kv(args));
  if (args->num_tokens == 0) return BZ_OK;
  const uint64_t width = (uint64_t{args->num_heads} + 2 * args->num_kv_heads) * args->head_dim;
  return submit(stream, stream->kernels->rope_kv, *args, {.work = args->num_tokens * width * 2});
}

bz_status bz_kv_cache_bytes(bz_kv_cache_args *args) {
  BZ_TRY(bz::check_kv_cache(args));
  const uint64_t row = (uint64_t{args->head_dim} + 15) / 16 * 16; // padded_dim in kernels/kv_cache.h
  args->out_bytes = uint64_t{args->num_blocks} * args->block_size * args->num_kv_heads * row *
                    bz::dtype_bytes(args->kv_dtype);
  return BZ_OK;
}

bz_status bz_attention(bz_stream *stream, const bz_attention_args *args) {
  BZ_CHECK_STREAM("attention");
  BZ_TRY(bz::check_attention(args));
  if (args->num_tokens == 0 || args->num_requests == 0) return BZ_OK;
  return submit(stream, stream->kernels->attention, *args,
                {.scratch_bytes = bz::attention_scratch_bytes(*args, stream->num_threads)});
}

bz_status bz_gather_rows(bz_stream *stream, const bz_gather_rows_args *args) {
  BZ_CHECK_STREAM("gather_rows");
  BZ_TRY(bz::check_gather_rows(args));
  if (args->num_rows == 0 || args->c == 0) return BZ_OK;
  return submit(stream, stream->kernels->gather_rows, *args, {.work = uint64_t{args->num_rows} * args->c / 4});
}

bz_status bz_add(bz_stream *stream, const bz_add_args *args) {
  BZ_CHECK_STREAM("add");
  BZ_TRY(bz::check_add(args));
  if (args->num_tokens == 0 || args->c == 0) return BZ_OK;
  return submit(stream, stream->kernels->add, *args, {.work = uint64_t{args->num_tokens} * args->c / 2});
}

bz_status bz_logits_process(bz_stream *stream, const bz_logits_process_args *args) {
  BZ_CHECK_STREAM("logits_process");
  bz_logits_process_args a;
  BZ_TRY(bz::check_logits_process(args, &a));
  if (a.num_requests == 0) return BZ_OK;
  const uint64_t row_bytes = (uint64_t{a.vocab_size} * 4 + 63) / 64 * 64;
  // A row that asks for nothing is read once.
  const uint64_t work = a.num_requests > 1 ? uint64_t{a.num_requests} * a.vocab_size / 4 : 0;
  return submit(stream, stream->kernels->logits_process, a,
                {.work = work, .scratch_bytes = row_bytes * stream->num_threads});
}

bz_status bz_sample(bz_stream *stream, const bz_sample_args *args) {
  BZ_CHECK_STREAM("sample");
  bz_sample_args a;
  BZ_TRY(bz::check_sample(args, &a));
  if (a.num_requests == 0) return BZ_OK;
  const uint64_t bytes = bz::sampling_scratch_bytes(a.vocab_size) * stream->num_threads;
  return submit(stream, stream->kernels->sample, a,
                {.work = a.num_requests > 1 ? UINT64_MAX : 0, .scratch_bytes = bytes});
}

bz_status bz_logprobs(bz_stream *stream, const bz_logprobs_args *args) {
  BZ_CHECK_STREAM("logprobs");
  BZ_TRY(bz::check_logprobs(args));
  if (args->num_requests == 0) return BZ_OK;
  const uint64_t bytes = bz::sampling_scratch_bytes(args->vocab_size) * stream->num_threads;
  return submit(stream, stream->kernels->logprobs, *args,
                {.work = args->num_requests > 1 ? UINT64_MAX : 0, .scratch_bytes = bytes});
}

} // extern "C"
