// Entry points of the ops: checks, the kernel of the stream's instruction set, and what the threads need to know.
#include "../common/check_ops.h"
#include "../common/dtype.h"
#include "attention_plan.h"
#include "sampling_scratch.h"
#include "stream.h"

using bz::submit;

#define BZ_CHECK_STREAM(op) BZ_REQUIRE(stream != nullptr, BZ_EINVAL, op ": stream is NULL")

static float *floats(const bz_matrix &m) { return static_cast<float *>(m.data); }

static bz_status submit_copy(const char *op, bz_stream *stream, const bz_copy_args *args) {
  BZ_TRY(bz::check_copy(op, stream, args));
  if (args->bytes == 0) return BZ_OK;
  const bz::CopyArgs a = {.bytes = args->bytes, .dst = args->dst, .src = args->src};
  return submit(stream, stream->kernels->copy, a, {.work = a.bytes / 16});
}

extern "C" {

// Both kinds of memory are the host's: the three copies differ in what may be recorded.
bz_status bz_mem_copy(bz_stream *stream, const bz_copy_args *args) { return submit_copy("mem_copy", stream, args); }

bz_status bz_upload(bz_stream *stream, const bz_copy_args *args) {
  BZ_CHECK_STREAM("upload");
  BZ_TRY(stream->require_running("upload"));
  return submit_copy("upload", stream, args);
}

bz_status bz_download(bz_stream *stream, const bz_copy_args *args) {
  BZ_CHECK_STREAM("download");
  BZ_TRY(stream->require_running("download"));
  return submit_copy("download", stream, args);
}

bz_status bz_rms_norm(bz_stream *stream, const bz_rms_norm_args *args) {
  BZ_CHECK_STREAM("rms_norm");
  BZ_TRY(bz::check_rms_norm(args));
  if (args->num_tokens == 0) return BZ_OK;
  const bz::RmsNormArgs a = {
      .num_tokens = args->num_tokens,
      .c = args->x.cols,
      .eps = args->eps,
      .w_offset = args->w_offset,
      .x = floats(args->x),
      .w = args->w,
      .residual = floats(args->residual),
      .y = floats(args->y),
      .x_stride = args->x.stride,
      .residual_stride = args->residual.stride,
      .y_stride = args->y.stride,
  };
  return submit(stream, stream->kernels->rms_norm, a, {.work = uint64_t{a.num_tokens} * a.c});
}

bz_status bz_gated_act(bz_stream *stream, const bz_gated_act_args *args) {
  BZ_CHECK_STREAM("gated_act");
  BZ_TRY(bz::check_gated_act(args));
  if (args->num_tokens == 0) return BZ_OK;
  const bz::GatedActArgs a = {
      .num_tokens = args->num_tokens,
      .f = args->y.cols,
      .act = args->act,
      .x = floats(args->x),
      .y = floats(args->y),
      .x_stride = args->x.stride,
      .y_stride = args->y.stride,
  };
  return submit(stream, stream->kernels->gated_act, a, {.work = uint64_t{a.num_tokens} * a.f * 4});
}

bz_status bz_rope_kv(bz_stream *stream, const bz_rope_kv_args *args) {
  BZ_CHECK_STREAM("rope_kv");
  BZ_TRY(bz::check_rope_kv(args));
  if (args->num_tokens == 0) return BZ_OK;
  const bz::RopeKvArgs a = {
      .num_tokens = args->num_tokens,
      .num_heads = args->num_heads,
      .num_kv_heads = args->num_kv_heads,
      .head_dim = args->head_dim,
      .rot_dim = args->rot_dim,
      .num_positions = args->num_positions,
      .interleaved = args->interleaved,
      .block_size = args->block_size,
      .num_blocks = args->num_blocks,
      .kv_dtype = args->kv_dtype,
      .eps = args->eps,
      .qkv = floats(args->qkv),
      .qkv_stride = args->qkv.stride,
      .positions = args->positions,
      .slots = args->slots,
      .cos_sin = args->cos_sin,
      .q_norm = args->q_norm,
      .k_norm = args->k_norm,
      .k_cache = args->k_cache,
      .v_cache = args->v_cache,
      .row_status = args->row_status,
  };
  return submit(stream, stream->kernels->rope_kv, a, {.work = uint64_t{a.num_tokens} * args->qkv.cols * 2});
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
  const bz::AttentionArgs a = {
      .num_tokens = args->num_tokens,
      .num_requests = args->num_requests,
      .num_heads = args->num_heads,
      .num_kv_heads = args->num_kv_heads,
      .head_dim = args->head_dim,
      .block_size = args->block_size,
      .num_blocks = args->num_blocks,
      .kv_dtype = args->kv_dtype,
      .window = args->window,
      .causal = args->causal,
      .scale = args->scale,
      .softcap = args->softcap,
      .block_table_stride = args->block_table_stride,
      .q = floats(args->q),
      .out = floats(args->out),
      .q_stride = args->q.stride,
      .out_stride = args->out.stride,
      .query_start = args->query_start,
      .seq_lens = args->seq_lens,
      .block_table = args->block_table,
      .k_cache = args->k_cache,
      .v_cache = args->v_cache,
      .sinks = args->sinks,
  };
  return submit(stream, stream->kernels->attention, a,
                {.scratch_bytes = bz::attention_scratch_bytes(a, stream->num_threads)});
}

bz_status bz_gather_rows(bz_stream *stream, const bz_gather_rows_args *args) {
  BZ_CHECK_STREAM("gather_rows");
  BZ_TRY(bz::check_gather_rows(args));
  if (args->num_rows == 0) return BZ_OK;
  const bz::GatherRowsArgs a = {
      .num_rows = args->num_rows,
      .c = args->y.cols,
      .num_source_rows = args->num_source_rows,
      .x = floats(args->x),
      .y = floats(args->y),
      .x_stride = args->x.stride,
      .y_stride = args->y.stride,
      .rows = args->rows,
      .row_status = args->row_status,
  };
  return submit(stream, stream->kernels->gather_rows, a, {.work = uint64_t{a.num_rows} * a.c / 4});
}

bz_status bz_add(bz_stream *stream, const bz_add_args *args) {
  BZ_CHECK_STREAM("add");
  BZ_TRY(bz::check_add(args));
  if (args->num_tokens == 0) return BZ_OK;
  const bz::AddArgs a = {
      .num_tokens = args->num_tokens,
      .c = args->y.cols,
      .scale = args->scale,
      .x = floats(args->x),
      .y = floats(args->y),
      .x_stride = args->x.stride,
      .y_stride = args->y.stride,
  };
  return submit(stream, stream->kernels->add, a, {.work = uint64_t{a.num_tokens} * a.c / 2});
}

bz_status bz_softcap(bz_stream *stream, const bz_softcap_args *args) {
  BZ_CHECK_STREAM("softcap");
  BZ_TRY(bz::check_softcap(args));
  if (args->num_tokens == 0) return BZ_OK;
  const bz::SoftcapArgs a = {
      .num_tokens = args->num_tokens,
      .c = args->y.cols,
      .cap = args->cap,
      .x = floats(args->x),
      .y = floats(args->y),
      .x_stride = args->x.stride,
      .y_stride = args->y.stride,
  };
  return submit(stream, stream->kernels->softcap, a, {.work = uint64_t{a.num_tokens} * a.c * 4});
}

bz_status bz_scatter_ids(bz_stream *stream, const bz_scatter_ids_args *args) {
  BZ_CHECK_STREAM("scatter_ids");
  BZ_TRY(bz::check_scatter_ids(args));
  if (args->num_ids == 0) return BZ_OK;
  const bz::ScatterIdsArgs a = {
      .num_ids = args->num_ids,
      .num_src = args->num_src,
      .num_dst = args->num_dst,
      .src = args->src,
      .src_rows = args->src_rows,
      .dst_rows = args->dst_rows,
      .dst = args->dst,
  };
  return submit(stream, stream->kernels->scatter_ids, a, {.work = 0});
}

bz_status bz_check_finite(bz_stream *stream, const bz_check_finite_args *args) {
  BZ_CHECK_STREAM("check_finite");
  BZ_TRY(bz::check_check_finite(args));
  if (args->num_rows == 0) return BZ_OK;
  const bz::CheckFiniteArgs a = {
      .num_rows = args->num_rows,
      .c = args->x.cols,
      .x = floats(args->x),
      .x_stride = args->x.stride,
      .row_status = args->row_status,
  };
  return submit(stream, stream->kernels->check_finite, a, {.work = uint64_t{a.num_rows} * a.c / 4});
}

bz_status bz_logits_process(bz_stream *stream, const bz_logits_process_args *args) {
  BZ_CHECK_STREAM("logits_process");
  BZ_TRY(bz::check_logits_process(args));
  if (args->num_requests == 0) return BZ_OK;
  const bz::LogitsProcessArgs a = {
      .num_requests = args->num_requests,
      .vocab_size = args->logits.cols,
      .logits = floats(args->logits),
      .logits_stride = args->logits.stride,
      .bitmask = args->bitmask,
      .bitmask_row = args->bitmask_row,
      .allow_start = args->allow_start,
      .allow_ids = args->allow_ids,
      .edit_start = args->edit_start,
      .edit_ids = args->edit_ids,
      .edit_values = args->edit_values,
      .token_ids = args->token_ids,
      .token_stride = args->token_stride,
      .token_row = args->token_row,
      .num_tokens_of = args->num_tokens_of,
      .num_prompt_of = args->num_prompt_of,
      .repetition = args->repetition,
      .frequency = args->frequency,
      .presence = args->presence,
      .row_status = args->row_status,
  };
  const uint64_t row_bytes = (uint64_t{a.vocab_size} * 4 + 63) / 64 * 64;
  // A row that asks for nothing is read once.
  const uint64_t work = a.num_requests > 1 ? uint64_t{a.num_requests} * a.vocab_size / 4 : 0;
  return submit(stream, stream->kernels->logits_process, a,
                {.work = work, .scratch_bytes = row_bytes * stream->num_threads});
}

bz_status bz_sample(bz_stream *stream, const bz_sample_args *args) {
  BZ_CHECK_STREAM("sample");
  BZ_TRY(bz::check_sample(args));
  if (args->num_requests == 0) return BZ_OK;
  const bz::SampleArgs a = {
      .num_requests = args->num_requests,
      .vocab_size = args->logits.cols,
      .logits = floats(args->logits),
      .logits_stride = args->logits.stride,
      .temperature = args->temperature,
      .top_p = args->top_p,
      .min_p = args->min_p,
      .top_k = args->top_k,
      .seeds = args->seeds,
      .positions = args->positions,
      .out = args->out,
      .out_processed = floats(args->out_processed),
      .processed_stride = args->out_processed.stride,
      .row_status = args->row_status,
  };
  const uint64_t bytes = bz::sampling_scratch_bytes(a.vocab_size) * stream->num_threads;
  return submit(stream, stream->kernels->sample, a,
                {.work = a.num_requests > 1 ? UINT64_MAX : 0, .scratch_bytes = bytes});
}

bz_status bz_logprobs(bz_stream *stream, const bz_logprobs_args *args) {
  BZ_CHECK_STREAM("logprobs");
  BZ_TRY(bz::check_logprobs(args));
  if (args->num_requests == 0) return BZ_OK;
  const bz::LogprobsArgs a = {
      .num_requests = args->num_requests,
      .vocab_size = args->logits.cols,
      .num_top = args->num_top,
      .mode = args->mode,
      .logits = floats(args->logits),
      .logits_stride = args->logits.stride,
      .ids = args->ids,
      .out_logprob = args->out_logprob,
      .out_rank = args->out_rank,
      .out_top_ids = args->out_top_ids,
      .out_top_logprobs = args->out_top_logprobs,
  };
  const uint64_t bytes = bz::sampling_scratch_bytes(a.vocab_size) * stream->num_threads;
  return submit(stream, stream->kernels->logprobs, a,
                {.work = a.num_requests > 1 ? UINT64_MAX : 0, .scratch_bytes = bytes});
}

} // extern "C"
