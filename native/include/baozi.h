/* baozi.h: the contract that every kernel library implements, and its manual.
**
** What is not in this header is not part of the contract. Each op's comment states shapes, types, aliasing, errors and
** source; native/ref holds the obvious scalar version of each, which is the oracle of all the others.
**
** Conventions
**   Dims    T tokens this step, R requests this step, H query heads, K KV heads, D head size, E hidden size, F MLP
**           inner size, V vocabulary, B blocks in the pool, S block size in tokens, M blocks a row of the block table
**           has, N rows and C columns of a weight, X experts, k experts a token. Row-major, last dim contiguous;
**           strides are in elements. Ranges are [a, b).
**   Types   activations have the library's activation_dtype (bz_library_traits); logits, norm weights, biases, sinks
**           and rotary tables are float32; ids, positions, slots, lengths and block ids are int32. A matrix says its
**           own type; one the op does not take is BZ_EINVAL.
**   Memory  device memory is read and written by ops alone, staging memory by the host and by bz_upload and bz_download
**           alone. Every pointer in the args of an op is device memory from bz_mem_alloc, aligned as the traits say,
**           unless the op's comment says otherwise. On the CPU both kinds are ordinary memory; callers that rely on it
**           are wrong, and fail on native/async.
**   Order   a stream runs what it is given in order: ops, copies, graph launches, events. A call may return before its
**           op has run. Results, staging memory and the first failure are the host's after bz_event_synchronize of an
**           event recorded behind them, or bz_stream_synchronize. Args structs are read before the call returns; what
**           they point at must stay until the stream has passed the op.
**   Calls   every op is bz_NAME(stream, const bz_NAME_args *). Args structs start with their own size: a mismatch is
**           BZ_EABI. An op's count of rows comes next (num_tokens, num_requests, ...); 0 is a successful no-op.
**           Reserved fields must be 0. native/ops.awk finds the ops and the structs by these rules.
**   Errors  a status, and words for it from bz_last_error on the same thread. What is wrong with the args themselves is
**           returned by the call. What is wrong with one row (an id or position out of range, a value that is not
**           finite) is that row's where the op has row_status: the other rows are as they would be without it. Where
**           row_status is NULL it fails the op: returned by the call where the op has run by then, else by the next
**           synchronize. BZ_EDEVICE is for devices that failed. Nothing throws, nothing exits.
**   Padding a replayed step may have more rows than there are tokens or requests. A padded token has id 0, position 0
**           and slot -1; a padded request has no query rows (query_start[r] == query_start[r + 1]) and seq_len 0. Ops
**           read no cache for them, store nothing in it, and leave finite values in their rows.
**   Threads one thread drives a stream. Kernels split outputs over threads and never a reduction: results do not depend
**           on the number of threads.
**   Owner   the library never frees the caller's memory and keeps no host pointer after a call unless it says so.
*/
#ifndef BAOZI_H
#define BAOZI_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BZ_API __attribute__((visibility("default")))
#else
#define BZ_API
#endif

#define BZ_ABI_VERSION 4u

typedef int32_t bz_status;
enum {
  BZ_OK = 0,
  BZ_EINVAL = 1,  /* a shape, stride, dtype or value the op does not take: our caller's bug        */
  BZ_ENOSYS = 2,  /* this backend lacks the op for this dtype; bz_op_supported would have said 0    */
  BZ_ENOMEM = 3,  /* an allocation failed                                                          */
  BZ_EABI = 4,    /* args_bytes or the ABI version does not fit                                    */
  BZ_EIO = 5,     /* a file could not be opened, mapped or is shorter than asked                   */
  BZ_EDEVICE = 6, /* the device failed: fatal for the engine                                       */
  BZ_ENUMERIC = 7 /* of a row: NaN or infinity where numbers are needed                            */
};

/* Element and block formats. Values are never renumbered. 32 and above are block formats of GGUF: quantized rows whose
** bytes are laid out as in the file. */
enum bz_dtype {
  BZ_F32 = 0, BZ_F16 = 1, BZ_BF16 = 2, BZ_I32 = 3, BZ_I8 = 4, BZ_U8 = 5, BZ_U32 = 6, BZ_U64 = 7, BZ_F8_E4M3 = 8,
  BZ_Q4_0 = 32, BZ_Q4_1 = 33, BZ_Q5_0 = 34, BZ_Q5_1 = 35, BZ_Q8_0 = 36,
  BZ_Q2_K = 40, BZ_Q3_K = 41, BZ_Q4_K = 42, BZ_Q5_K = 43, BZ_Q6_K = 44,
  BZ_IQ4_NL = 48, BZ_IQ4_XS = 49
};

/* ---- Library ------------------------------------------------------------------------------------------------ */

BZ_API uint32_t bz_abi_version(void);
/* How well this library serves this machine: 0 cannot run here, higher is better. */
BZ_API int32_t bz_backend_score(void);
/* One JSON object: {"name", "device", "isa", "features": [...], "cores", ...}. Returns the bytes it needs, NUL
** included; writes at most cap. */
BZ_API uint32_t bz_backend_info(char *buf, uint32_t cap);
/* Text, a line a struct: "name size field:offset:bytes field:offset:bytes ...". Returns as bz_backend_info does. */
BZ_API uint32_t bz_abi_layout(char *buf, uint32_t cap);
/* 1 when the op (its name without "bz_") takes weights or a cache of this dtype. */
BZ_API int32_t bz_op_supported(const char *op, uint32_t dtype);
/* Words for the last failure on this thread. Returns as bz_backend_info does. */
BZ_API uint32_t bz_last_error(char *buf, uint32_t cap);

typedef struct bz_stream bz_stream;
typedef struct bz_event bz_event;
typedef struct bz_weight bz_weight;
typedef struct bz_graph bz_graph;

/* A matrix in device memory: rows of cols elements, rows stride elements apart. How many rows there are is the op's. */
typedef struct bz_matrix {
  void *data;
  uint32_t dtype;
  uint32_t cols;
  uint64_t stride;
} bz_matrix;

/* What callers have to know of a library that differs from device to device. */
typedef struct bz_traits_args {
  uint32_t args_bytes;
  uint32_t out_activation_dtype; /* of every matrix but logits */
  uint32_t out_is_async;       /* 1: ops may run after their call has returned, so two steps in flight pay off */
  uint32_t out_alignment;      /* bytes, of device memory and of the start of a matrix's rows as a whole */
  uint32_t out_slice_tokens;   /* ops that treat each token for itself run best on so many at a time; 0: on all */
  uint32_t out_logit_rows;     /* rows of logits at a time that the output head and the sampler are best given */
  uint32_t out_max_graphs;     /* recordings worth keeping; 0: replaying does not pay off */
  uint32_t out_capture_rows;   /* a recording serves up to the next multiple of so many rows, padded; 1: its own */
  uint32_t out_kv_dtypes;      /* bit d set: the KV cache can hold enum bz_dtype d */
  uint32_t out_block_multiple; /* a KV block holds a multiple of so many tokens */
} bz_traits_args;
BZ_API bz_status bz_library_traits(bz_traits_args *args);

/* bz_stream_create: a queue of ops with its threads and scratch memory.
** Errors  BZ_EINVAL for an unknown isa name or one this processor lacks; the message lists what it has. */
typedef struct bz_stream_args {
  uint32_t args_bytes;
  uint32_t num_threads;   /* 0: as many as the processors this process may use (affinity and cgroup quota)        */
  const char *isa;        /* NULL: the best here. "scalar", "avx2", "avx512", "avx512_vnni", "amx", "neon"       */
  uint32_t spin_us;       /* microseconds an idle worker thread spins before it parks; 0: the library's choice    */
  uint32_t reserved;
} bz_stream_args;
BZ_API bz_status bz_stream_create(const bz_stream_args *args, bz_stream **out);
BZ_API void bz_stream_destroy(bz_stream *stream); /* NULL is a no-op */
/* Waits until all that was given to the stream is done, and returns the first failure since the last synchronize, be it
** of the stream or of an event. */
BZ_API bz_status bz_stream_synchronize(bz_stream *stream);

/* Events mark a place in a stream. One never recorded is complete; recorded again, it marks the later place. */
BZ_API bz_status bz_event_create(bz_stream *stream, bz_event **out);
BZ_API bz_status bz_event_record(bz_stream *stream, bz_event *event);
/* Waits until the stream has passed the event; returns the first failure of what came before it and was not returned by
** an earlier synchronize. */
BZ_API bz_status bz_event_synchronize(bz_event *event);
/* out_done: 1 when bz_event_synchronize would not wait. Polling terminates. */
BZ_API bz_status bz_event_query(bz_event *event, uint32_t *out_done);
BZ_API void bz_event_destroy(bz_event *event); /* NULL is a no-op */

/* ---- Memory ------------------------------------------------------------------------------------------------- */

enum { BZ_MEM_DEVICE = 0, BZ_MEM_STAGING = 1 };
/* Zeroed, aligned as the traits say, in large pages where the system gives them. */
typedef struct bz_mem_alloc_args {
  uint32_t args_bytes;
  uint32_t kind;
  uint64_t bytes;
} bz_mem_alloc_args;
BZ_API bz_status bz_mem_alloc(bz_stream *stream, const bz_mem_alloc_args *args, void **out);
BZ_API void bz_mem_free(bz_stream *stream, void *ptr); /* either kind; NULL is a no-op */

/* Copies, in the stream's order. Upload: from staging to device memory; the source is the stream's until it has passed
** the copy, and has no defined content after it. Download: from device to staging memory; the destination has no
** defined content until then. Mem_copy: within device memory; the ranges must not overlap. */
typedef struct bz_copy_args {
  uint32_t args_bytes;
  uint32_t reserved;
  uint64_t bytes;
  void *dst;
  const void *src;
} bz_copy_args;
BZ_API bz_status bz_upload(bz_stream *stream, const bz_copy_args *args);
BZ_API bz_status bz_download(bz_stream *stream, const bz_copy_args *args);
BZ_API bz_status bz_mem_copy(bz_stream *stream, const bz_copy_args *args);

/* Bytes that a stream holds, for holding the memory plan against. */
typedef struct bz_stream_memory_args {
  uint32_t args_bytes;
  uint32_t reserved;
  uint64_t out_device_bytes;  /* written: bz_mem_alloc, device, as asked for */
  uint64_t out_staging_bytes; /* written: bz_mem_alloc, staging, as asked for */
  uint64_t out_weight_bytes;  /* written: of weights created on it */
  uint64_t out_scratch_bytes; /* written: what the library took for itself */
} bz_stream_memory_args;
BZ_API bz_status bz_stream_memory(bz_stream *stream, bz_stream_memory_args *args);
/* The device's memory. BZ_ENOSYS where it is the host's: the system tells then. */
typedef struct bz_device_memory_args {
  uint32_t args_bytes;
  uint32_t reserved;
  uint64_t out_total_bytes;   /* written */
  uint64_t out_free_bytes;    /* written */
} bz_device_memory_args;
BZ_API bz_status bz_device_memory(bz_stream *stream, bz_device_memory_args *args);

/* bz_mem_touch: pages that the system would give at their first use are given now; what is in them stays. A large page
** takes up to milliseconds, which a step would wait for. Requires: no op that writes there is running. */
typedef struct bz_mem_touch_args {
  uint32_t args_bytes;
  uint32_t reserved;
  uint64_t bytes;
  void *data;
} bz_mem_touch_args;
BZ_API bz_status bz_mem_touch(bz_stream *stream, const bz_mem_touch_args *args);

/* bz_file_map: maps a whole file read-only. What is read behind the end of a file that has become shorter since is
** zero, and the next bz_file_release tells. Errors BZ_EIO with the system's words. */
typedef struct bz_file_map_args {
  uint32_t args_bytes;
  uint32_t reserved;
  const char *path;
  void *out_data;         /* written: the first byte, page aligned; NULL for an empty file */
  uint64_t out_bytes;     /* written */
} bz_file_map_args;
BZ_API bz_status bz_file_map(bz_file_map_args *args);
/* Gives the pages inside [data, data + bytes) back to the system: they are read again from the file if touched. To be
** called when a range has been read. Errors BZ_EIO where something of the file was read that is no longer there. */
typedef struct bz_file_range_args {
  uint32_t args_bytes;
  uint32_t reserved;
  void *data;
  uint64_t bytes;
} bz_file_range_args;
BZ_API bz_status bz_file_release(const bz_file_range_args *args);
BZ_API bz_status bz_file_unmap(const bz_file_range_args *args);

/* ---- Weights ------------------------------------------------------------------------------------------------ */

/* How a weight is held and multiplied. BZ_COMPUTE_AUTO: float formats as they are, block formats and GPTQ in int8 or
** int4 with their group scales, FP8 as it is or rounded to bfloat16. BZ_COMPUTE_F32: exact float32 values of the
** source, float32 products. BZ_COMPUTE_BF16: rounded to bfloat16. BZ_COMPUTE_INT8: quantized here from a float source,
** a float16 scale a group of 32 columns of a row (largest magnitude / 127). BZ_COMPUTE_INT4: likewise, with a scale and
** a minimum, those of least squared error among several. A block format, or GPTQ, stays what it is under these two. */
enum bz_compute {
  BZ_COMPUTE_AUTO = 0, BZ_COMPUTE_F32 = 1, BZ_COMPUTE_BF16 = 2, BZ_COMPUTE_F16 = 3,
  BZ_COMPUTE_INT8 = 4, BZ_COMPUTE_INT4 = 5
};

/* How the tensors of a part mean a matrix [n, C].
** BZ_SCHEME_PLAIN  values [n, C] in a float or block format.
** BZ_SCHEME_GPTQ   values int32 [C / 8, n]: eight codes of 4 bits a word, along C, the lowest bits first; scales
**                  float16, bfloat16 or float32 [G, n], G = ceil(C / group_cols); zeros int32 [G, n / 8], packed along
**                  n, each stored less one, or absent: 8; group_index int32 [C], the group of each column, or absent:
**                  column / group_cols. w = scale * (code - zero). Where an index does not give each group but the last
**                  its group_cols columns, BZ_ENOSYS is an answer too.
** BZ_SCHEME_FP8    values float8 e4m3 [n, C]; scales float32 or bfloat16, one for group_rows x group_cols values:
**                  [ceil(n / group_rows), ceil(C / group_cols)]. 0 rows or columns: one scale for all of them.
** group_cols is 16, 32, 64 or 128, or 0 for one group a row (per channel); group_rows is 1 but for FP8. */
enum bz_scheme { BZ_SCHEME_PLAIN = 0, BZ_SCHEME_GPTQ = 1, BZ_SCHEME_FP8 = 2 };

typedef struct bz_weight_tensor {
  const void *data;       /* any alignment; NULL: absent */
  uint64_t bytes;         /* exactly what its shape and dtype need */
  uint32_t dtype;
  uint32_t reserved;
} bz_weight_tensor;
typedef struct bz_weight_part {
  uint32_t n;
  uint32_t scheme;        /* enum bz_scheme */
  uint32_t group_rows;
  uint32_t group_cols;
  bz_weight_tensor values;
  bz_weight_tensor scales;
  bz_weight_tensor zeros;
  bz_weight_tensor group_index;
} bz_weight_part;

/* bz_weight_create: lays a matrix [N, C], or with num_experts X a stack [X, N, C], out once for the instruction that
** reads it. Parts are stacked along N (q, k and v; gate and up), each in its own format; formats may differ. A stack
** has num_parts parts for each expert: those of expert e are parts[e * num_parts] and the ones after it, of the same n,
** scheme, groups and element types as expert 0's, and with zeros where expert 0 has them. Source bytes are host memory
** and only read during the call. A block format's C must be a multiple of its block; a tensor whose bytes are not
** exactly what its part needs is BZ_EINVAL.
** bz_weight_plan: the same without values: data pointers are not read and may be NULL, except that an absent zeros or
** group_index has 0 bytes. Such a weight tells its size, and ops that take it may be planned, not run (BZ_EINVAL).
** Errors  BZ_EINVAL, BZ_ENOSYS (format), BZ_ENOMEM. */
typedef struct bz_weight_args {
  uint32_t args_bytes;
  uint32_t num_parts;     /* of a matrix, 1..16 */
  uint32_t n;             /* N: the sum of a matrix's parts' n */
  uint32_t c;
  uint32_t num_experts;   /* X, at most 65536; 0: a matrix */
  uint32_t compute;       /* enum bz_compute */
  const bz_weight_part *parts; /* num_parts, or with num_experts num_experts * num_parts */
} bz_weight_args;
BZ_API bz_status bz_weight_create(bz_stream *stream, const bz_weight_args *args, bz_weight **out);
BZ_API bz_status bz_weight_plan(bz_stream *stream, const bz_weight_args *args, bz_weight **out);
BZ_API void bz_weight_destroy(bz_weight *weight); /* NULL is a no-op */
typedef struct bz_weight_info_args {
  uint32_t args_bytes;
  uint32_t out_bits;      /* written: bits of one stored value without its scales (4, 8, 16, 32) */
  uint64_t out_bytes;     /* written: memory held, or that a planned weight would hold */
} bz_weight_info_args;
BZ_API bz_status bz_weight_info(const bz_weight *weight, bz_weight_info_args *args);

/* ---- Recording and planning --------------------------------------------------------------------------------- */

/* Between begin and end, ops and device copies given to the stream are recorded with their args and not run; launch
** runs them in order. What the args point at is read at launch, so inputs change in place. A graph runs on the stream
** that recorded it: another is BZ_EINVAL. Uploads, downloads, events and synchronize while recording are BZ_EINVAL.
** Source: the idea of CUDA graphs. */
BZ_API bz_status bz_capture_begin(bz_stream *stream);
BZ_API bz_status bz_capture_end(bz_stream *stream, bz_graph **out);
BZ_API bz_status bz_graph_launch(bz_stream *stream, bz_graph *graph);
BZ_API void bz_graph_destroy(bz_graph *graph); /* NULL is a no-op */

/* Between begin and end, ops given to the stream are checked and neither run nor recorded; what their pointers point at
** is not read, so any but NULL will do. Uploads, downloads, events, launches and synchronize are BZ_EINVAL meanwhile.
** End tells the scratch memory that the most demanding of the ops takes.
** bz_stream_reserve takes it now; an op that needs more than there is takes it when it is given to the stream. */
typedef struct bz_plan_args {
  uint32_t args_bytes;
  uint32_t reserved;
  uint64_t out_scratch_bytes; /* written */
} bz_plan_args;
BZ_API bz_status bz_plan_begin(bz_stream *stream);
BZ_API bz_status bz_plan_end(bz_stream *stream, bz_plan_args *args);
BZ_API bz_status bz_stream_reserve(bz_stream *stream, uint64_t bytes);

/* ---- Ops ---------------------------------------------------------------------------------------------------- */

/* bz_embedding: y[t, :] = scale * W[ids[t], :], the row dequantized.
** Shapes  ids [T]; y [T, C]; row_status [T] or NULL: BZ_EINVAL for an id outside [0, N), whose row of y is 0. */
typedef struct bz_embedding_args {
  uint32_t args_bytes;
  uint32_t num_tokens;
  float scale;
  uint32_t reserved;
  const bz_weight *weight;
  const int32_t *ids;
  bz_matrix y;
  bz_status *row_status;
} bz_embedding_args;
BZ_API bz_status bz_embedding(bz_stream *stream, const bz_embedding_args *args);

/* bz_rms_norm: h = x + residual; y = h / sqrt(mean(h^2) + eps) * (w_offset + w), over each row of C values.
** With a residual, h is also stored to it (residual[t, :] = h), so that the next layer adds to the running sum.
** Shapes  x, y, residual [T, C]; w [C]. residual.data may be NULL; then h = x.
** Alias   y may equal x. Source: arXiv:1910.07467. */
typedef struct bz_rms_norm_args {
  uint32_t args_bytes;
  uint32_t num_tokens;
  float eps;
  float w_offset;         /* 0, or 1 for weights stored as a difference from one */
  bz_matrix x;
  bz_matrix residual;
  bz_matrix y;
  const float *w;
} bz_rms_norm_args;
BZ_API bz_status bz_rms_norm(bz_stream *stream, const bz_rms_norm_args *args);

/* bz_linear: y[t, n] = sum_c x[t, c] * W[n, c] + bias[n]; with BZ_LINEAR_ACCUMULATE the result is added to y.
** Shapes  x [T, C], y [T, N]; bias [N] or NULL. y may not overlap x. The weight is a matrix, not a stack.
** Int8 and int4 weights: each row of x is quantized to 8 bits, a scale (its largest magnitude / 127) a group of 32
** columns, or with BZ_LINEAR_FINE to 12 bits (largest magnitude / 1927), which costs more arithmetic, no more memory
** traffic, and keeps the result about as close to float32 as the weights are. Integer sums inside a group, float32 over
** groups. Other weights ignore the flag. Source: arXiv:2208.07339 for the idea, GGUF for the groups.
** Bfloat16 weights: where the processor multiplies bfloat16, x is rounded to it (to nearest, even among equals;
** subnormals become 0) and sums are float32; elsewhere x stays float32. The same for every number of tokens. */
enum { BZ_LINEAR_ACCUMULATE = 1, BZ_LINEAR_FINE = 2 };
typedef struct bz_linear_args {
  uint32_t args_bytes;
  uint32_t num_tokens;
  uint32_t flags;
  uint32_t reserved;
  const bz_weight *weight;
  const float *bias;
  bz_matrix x;
  bz_matrix y;
} bz_linear_args;
BZ_API bz_status bz_linear(bz_stream *stream, const bz_linear_args *args);

/* bz_route: the k experts that each token goes to, and with what weight.
** Scores s[t, e] of the X experts are softmax(x[t, :]) (BZ_SCORES_SOFTMAX) or 1 / (1 + exp(-x[t, e]))
** (BZ_SCORES_SIGMOID). The k experts with the largest s + bias are chosen, of equal ones those with the lower ids; ids
** are in that order. With num_groups > 1 experts come in groups of X / num_groups, one after the other, and are chosen
** from the top_groups groups whose own score is largest: the largest s + bias of a group (BZ_GROUPS_BY_MAX), or the sum
** of its two largest (BZ_GROUPS_BY_TOP2). Without a bias, and with groups by their largest or none, x is compared in
** place of s + bias.
** weights[t, j] = scale * s[t, ids[t, j]], the bias left out; with normalize the s of the chosen ones are divided by
** their sum plus 1e-20 before.
** Shapes  x float32 [T, X]; bias [X] or NULL; ids, weights [T, k].
** Rows    one with a value that is not finite gets ids 0, 1, ... k - 1 and weights NaN, so that nothing hides it.
** Source  arXiv:2101.03961; for groups arXiv:2405.04434, for the bias and sigmoid arXiv:2412.19437. */
enum bz_scores { BZ_SCORES_SOFTMAX = 0, BZ_SCORES_SIGMOID = 1 };
enum bz_group_scores { BZ_GROUPS_BY_MAX = 0, BZ_GROUPS_BY_TOP2 = 1 };
typedef struct bz_route_args {
  uint32_t args_bytes;
  uint32_t num_tokens;
  uint32_t top_k;         /* k: 1 to X, at most the experts of top_groups groups */
  uint32_t scores;        /* enum bz_scores */
  uint32_t normalize;     /* 0 or 1 */
  uint32_t num_groups;    /* a divisor of X; 0 or 1: no groups */
  uint32_t top_groups;    /* 1 to num_groups; without groups not read */
  uint32_t group_scores;  /* enum bz_group_scores; by top 2 a group has two experts at least */
  float scale;
  uint32_t reserved;
  bz_matrix x;
  const float *bias;
  int32_t *ids;
  float *weights;
} bz_route_args;
BZ_API bz_status bz_route(bz_stream *stream, const bz_route_args *args);

/* bz_linear_experts: y[r, n] = sum_c x[r / x_repeat, c] * W[ids[r], n, c] + bias[ids[r], n]: a row of y is a token with
** one of its experts. Each expert that rows name is read once, whatever their order. Products are bz_linear's, with the
** same flags, but BZ_LINEAR_ACCUMULATE; a row depends on no other.
** Shapes  ids [R]; x [R / x_repeat, C], y [R, N]; bias [X, N] or NULL. R is a multiple of x_repeat: k where x has a row
**         a token, 1 where it has a row for each of its experts. y may not overlap x. The weight is a stack.
** Rows    row_status [R] or NULL: BZ_EINVAL for an id outside [0, X), whose row of y is 0. */
typedef struct bz_linear_experts_args {
  uint32_t args_bytes;
  uint32_t num_rows;      /* R */
  uint32_t flags;         /* BZ_LINEAR_FINE */
  uint32_t x_repeat;
  const bz_weight *weight;
  const float *bias;
  const int32_t *ids;
  bz_matrix x;
  bz_matrix y;
  bz_status *row_status;
} bz_linear_experts_args;
BZ_API bz_status bz_linear_experts(bz_stream *stream, const bz_linear_experts_args *args);

/* bz_combine: y[t, :] = sum_j weights[t, j] * x[t * k + j, :], j in rising order; with accumulate the sum is added to
** y.
** Shapes  x [T k, C], y [T, C]; weights [T, k]. y may not overlap x. */
typedef struct bz_combine_args {
  uint32_t args_bytes;
  uint32_t num_tokens;
  uint32_t top_k;         /* k, 1 or more */
  uint32_t accumulate;    /* 0 or 1 */
  bz_matrix x;
  bz_matrix y;
  const float *weights;
} bz_combine_args;
BZ_API bz_status bz_combine(bz_stream *stream, const bz_combine_args *args);

/* bz_gated_act: y[t, f] = act(x[t, f]) * x[t, F + f].
** Shapes  x [T, 2F] (gate, then up), y [T, F]. y may begin where x does, with the same stride. */
enum bz_act { BZ_ACT_SILU = 0, BZ_ACT_GELU = 1, BZ_ACT_GELU_TANH = 2, BZ_ACT_RELU = 3 };
typedef struct bz_gated_act_args {
  uint32_t args_bytes;
  uint32_t num_tokens;
  uint32_t act;           /* enum bz_act */
  uint32_t reserved;
  bz_matrix x;
  bz_matrix y;
} bz_gated_act_args;
BZ_API bz_status bz_gated_act(bz_stream *stream, const bz_gated_act_args *args);

/* bz_rope_kv: what happens to q, k and v between their projection and attention, in one pass.
**   1. with q_norm / k_norm: RMS norm of each head's D values (eps);
**   2. with cos_sin: rotary embedding of the first rot_dim values of each q and k head at positions[t];
**   3. with a cache: k and v of token t are stored at slots[t] (slot = block * S + offset; -1 stores nothing).
** q is rewritten in place; k in qkv is rewritten too.
** Shapes  qkv [T, (H + 2K) D]: q heads, k heads, v heads; positions, slots [T];
**         cos_sin [P, rot_dim]: rot_dim/2 cosines then rot_dim/2 sines a position; q_norm, k_norm [D] or NULL.
** Layout  rotary pairs are (i, i + rot_dim/2), or (2i, 2i + 1) with interleaved.
** The cache's inner layout is the library's own; a layer's k_cache and v_cache are bz_kv_cache_bytes each.
** Rows    row_status [T] or NULL: BZ_EINVAL for a position outside [0, P) or a slot outside the cache; nothing is
**         stored for the row, and its values are left as they were. Source: arXiv:2104.09864. */
typedef struct bz_rope_kv_args {
  uint32_t args_bytes;
  uint32_t num_tokens;
  uint32_t num_heads;     /* H */
  uint32_t num_kv_heads;  /* K */
  uint32_t head_dim;      /* D */
  uint32_t rot_dim;       /* even, <= D */
  uint32_t num_positions; /* P */
  uint32_t interleaved;
  uint32_t block_size;    /* S: a multiple of 16 */
  uint32_t num_blocks;    /* B */
  uint32_t kv_dtype;      /* BZ_F32 or BZ_BF16 */
  float eps;
  bz_matrix qkv;
  const int32_t *positions;
  const int32_t *slots;
  const float *cos_sin;
  const float *q_norm;
  const float *k_norm;
  void *k_cache;
  void *v_cache;
  bz_status *row_status;
} bz_rope_kv_args;
BZ_API bz_status bz_rope_kv(bz_stream *stream, const bz_rope_kv_args *args);

/* Bytes of one layer's k_cache (and of its v_cache). Errors BZ_EINVAL, BZ_ENOSYS. */
typedef struct bz_kv_cache_args {
  uint32_t args_bytes;
  uint32_t num_kv_heads;
  uint32_t head_dim;
  uint32_t block_size;
  uint32_t num_blocks;
  uint32_t kv_dtype;
  uint64_t out_bytes;     /* written */
} bz_kv_cache_args;
BZ_API bz_status bz_kv_cache_bytes(bz_kv_cache_args *args);

/* bz_attention: softmax(scale * q k^T + mask) v over each request's cached tokens.
** Request r owns query rows [query_start[r], query_start[r+1]) of this step; they are its last tokens, so the row's
** position is seq_lens[r] - num_rows(r) + i, and its keys are at positions [0, position] (causal), of which only the
** last `window` (the row itself included) when window > 0. Keys are found through block_table[r, position / S]; entries
** of blocks that lie wholly outside the window are not read.
** With softcap > 0 the scores become softcap * tanh(score / softcap) before the mask. Sinks [H], when given, add
** exp(sink) to each head's denominator.
** Shapes  q, out [T, H D]; query_start [R + 1], seq_lens [R], block_table [R, M] with block_table_stride; caches as
**         written by bz_rope_kv, this step's tokens included. H is a multiple of K.
** Alias   out may equal q (same stride). Source: arXiv:2309.06180, arXiv:2205.14135. */
typedef struct bz_attention_args {
  uint32_t args_bytes;
  uint32_t num_tokens;    /* T */
  uint32_t num_requests;  /* R */
  uint32_t num_heads;
  uint32_t num_kv_heads;
  uint32_t head_dim;
  uint32_t block_size;
  uint32_t num_blocks;
  uint32_t kv_dtype;
  uint32_t window;        /* 0: no window */
  uint32_t causal;        /* 1; 0: every cached token of the request is seen */
  float scale;
  float softcap;          /* 0: none */
  uint32_t block_table_stride; /* M */
  bz_matrix q;
  bz_matrix out;
  const int32_t *query_start;
  const int32_t *seq_lens;
  const int32_t *block_table;
  const void *k_cache;
  const void *v_cache;
  const float *sinks;
} bz_attention_args;
BZ_API bz_status bz_attention(bz_stream *stream, const bz_attention_args *args);

/* bz_latent_kv: what happens to a token's latent, its shared key and its queries before latent attention, in one pass.
**   1. the latent, the first `rank` values of kv, has its RMS norm: c / sqrt(mean(c^2) + eps) * w;
**   2. the key that all heads share, the last rope_dim values of kv, is rotated at positions[t];
**   3. both are stored at slots[t] of the cache (-1 stores nothing);
**   4. the last rope_dim values of each head of q are rotated too, and become the last rope_dim values of that head in
**      out. The rest of out, which is for the queries' products with the up-projection of keys, stays.
** Shapes  kv [T, rank + rope_dim]; q [T, H Dq]; out [T, H (rank + rope_dim)]; positions, slots [T]; w [rank];
**         cos_sin [P, rope_dim] and rotary pairs as in bz_rope_kv. kv and q are not changed. out may not overlap them.
** rank and rope_dim are multiples of 8, at most 1024 and 256. The cache's inner layout is the library's own.
** Rows    row_status [T] or NULL, as in bz_rope_kv: nothing is stored or written for the row.
** Source  arXiv:2405.04434. */
typedef struct bz_latent_kv_args {
  uint32_t args_bytes;
  uint32_t num_tokens;
  uint32_t num_heads;     /* H */
  uint32_t rank;
  uint32_t rope_dim;
  uint32_t num_positions; /* P */
  uint32_t interleaved;
  uint32_t block_size;    /* S: a multiple of 16 */
  uint32_t num_blocks;    /* B */
  uint32_t kv_dtype;      /* BZ_F32 or BZ_BF16 */
  float eps;
  uint32_t reserved;
  bz_matrix kv;
  bz_matrix q;
  bz_matrix out;
  const int32_t *positions;
  const int32_t *slots;
  const float *cos_sin;
  const float *w;
  void *cache;
  bz_status *row_status;
} bz_latent_kv_args;
BZ_API bz_status bz_latent_kv(bz_stream *stream, const bz_latent_kv_args *args);

/* Bytes of one layer's latent cache. Errors BZ_EINVAL, BZ_ENOSYS. */
typedef struct bz_latent_cache_args {
  uint32_t args_bytes;
  uint32_t rank;
  uint32_t rope_dim;
  uint32_t block_size;
  uint32_t num_blocks;
  uint32_t kv_dtype;
  uint64_t out_bytes;     /* written */
} bz_latent_cache_args;
BZ_API bz_status bz_latent_cache_bytes(bz_latent_cache_args *args);

/* bz_latent_attention: softmax(scale * q k^T) c, where a token's cached row k, its latent c and its rotated key, is the
** key of all heads, and the latent alone the value of all heads. The model's up-projections of keys and values are
** products with q before, and with out after it.
** Requests, rows and block tables are those of bz_attention; attention is causal.
** Shapes  q [T, H (rank + rope_dim)], out [T, H rank]; cache as written by bz_latent_kv, this step's tokens included.
** Alias   out may not overlap q. Source: arXiv:2405.04434. */
typedef struct bz_latent_attention_args {
  uint32_t args_bytes;
  uint32_t num_tokens;    /* T */
  uint32_t num_requests;  /* R */
  uint32_t num_heads;     /* H */
  uint32_t rank;
  uint32_t rope_dim;
  uint32_t block_size;
  uint32_t num_blocks;
  uint32_t kv_dtype;
  float scale;
  uint32_t block_table_stride; /* M */
  uint32_t reserved;
  bz_matrix q;
  bz_matrix out;
  const int32_t *query_start;
  const int32_t *seq_lens;
  const int32_t *block_table;
  const void *cache;
} bz_latent_attention_args;
BZ_API bz_status bz_latent_attention(bz_stream *stream, const bz_latent_attention_args *args);

/* bz_linear_heads: y[t, h, n] = sum_c w[h, c, n] * x[t, h, c]: a matrix of its own for each head, as the up-projections
** of latent attention are. Sums are float32, over c in order.
** Shapes  x [T, H Dx], of each head the first C values; y [T, H Dy], of each head the first N: the others stay;
**         w [H, C, N] in w_dtype. Dx >= C and Dy >= N follow from the columns of x and y. y may not overlap x. */
typedef struct bz_linear_heads_args {
  uint32_t args_bytes;
  uint32_t num_tokens;
  uint32_t num_heads;     /* H */
  uint32_t n;
  uint32_t c;
  uint32_t w_dtype;       /* BZ_F32 or BZ_BF16 */
  bz_matrix x;
  bz_matrix y;
  const void *w;
} bz_linear_heads_args;
BZ_API bz_status bz_linear_heads(bz_stream *stream, const bz_linear_heads_args *args);

/* bz_causal_conv: a depthwise convolution over each request's tokens, each with its own and the num_taps - 1 before it:
** y[t, c] = bias[c] + sum_k w[k, c] * x[t - K + 1 + k, c] for k in [0, K), through SiLU when silu is 1.
** Request r owns rows [query_start[r], query_start[r+1]) of this step. The inputs before its first row are the K - 1
** rows of its state, state[read_slots[r]], oldest first; they are 0 where read_slots[r] is -1. The last K - 1 inputs,
** those of the state among them, are left in state[write_slots[r]], which may be the slot that was read. A request
** without rows reads and writes no slot. Slots that one request writes are neither read nor written by another of the
** same call. The sum starts with the bias and takes k in rising order, so a row does not depend on how rows come in
** calls.
** Shapes  x, y [T, C]; w [K, C]; bias [C] or NULL; query_start [R + 1], read_slots, write_slots [R]; state
**         [S, K - 1, C] float32 with state_stride from slot to slot. Rows behind the requests' get 0.
** Alias   y may equal x (same stride). Source: arXiv:2312.00752. */
typedef struct bz_causal_conv_args {
  uint32_t args_bytes;
  uint32_t num_tokens;    /* T */
  uint32_t num_requests;  /* R */
  uint32_t num_taps;      /* K: 2 to 8 */
  uint32_t silu;          /* 0 or 1 */
  uint32_t num_slots;     /* S */
  uint64_t state_stride;
  bz_matrix x;
  bz_matrix y;
  const int32_t *query_start;
  const int32_t *read_slots;
  const int32_t *write_slots;
  const float *w;
  const float *bias;
  float *state;
} bz_causal_conv_args;
BZ_API bz_status bz_causal_conv(bz_stream *stream, const bz_causal_conv_args *args);

/* bz_selective_scan: the recurrence of a state-space layer over each request's tokens, in their order. Head h has P
** channels, each with a state of N values, and takes B and C of group h / (H / G). For each token:
**   d = min(max(softplus(dt[t, h] + dt_bias[h]), dt_min), dt_max)
**   state[h, p, n] = exp(d * a[h, n]) * state[h, p, n] + d * b[t, g, n] * x[t, h, p]
**   y[t, h, p] = sum_n c[t, g, n] * state[h, p, n] + skip[h] * x[t, h, p], times SiLU(z[t, h, p]) where z is given
** a has one column for all n of a head, or N. Mamba's layers are heads of one channel with N columns of a, Mamba-2's
** have one column.
** Requests, their slots and the rows behind theirs are as in bz_causal_conv; a request's first state is 0.
** Shapes  x, y, z [T, H P], z.data may be NULL; dt [T, H]; b, c [T, G N]; a float32 [H, 1] or [H, N]; dt_bias, skip
**         [H], each may be NULL: 0; state [S, H, P, N] float32 with state_stride from slot to slot. H is a multiple of
**         G.
** Alias   y may equal x (same stride). Source: arXiv:2312.00752, arXiv:2405.21060. */
typedef struct bz_selective_scan_args {
  uint32_t args_bytes;
  uint32_t num_tokens;    /* T */
  uint32_t num_requests;  /* R */
  uint32_t num_heads;     /* H */
  uint32_t head_dim;      /* P */
  uint32_t state_dim;     /* N: at most 1024 */
  uint32_t num_groups;    /* G */
  uint32_t num_slots;     /* S */
  float dt_min;           /* >= 0 */
  float dt_max;           /* >= dt_min; infinity: none */
  uint64_t state_stride;
  bz_matrix x;
  bz_matrix dt;
  bz_matrix b;
  bz_matrix c;
  bz_matrix z;
  bz_matrix y;
  bz_matrix a;
  const int32_t *query_start;
  const int32_t *read_slots;
  const int32_t *write_slots;
  const float *dt_bias;
  const float *skip;
  float *state;
} bz_selective_scan_args;
BZ_API bz_status bz_selective_scan(bz_stream *stream, const bz_selective_scan_args *args);

/* bz_gated_rms_norm: rms_norm with a gate, over each of a row's num_groups groups of C / num_groups values:
** h = x * SiLU(z); y = h / sqrt(mean(h^2) + eps) * w, or with gate_last y = x / sqrt(mean(x^2) + eps) * w * SiLU(z).
** Shapes  x, z, y [T, C]; w [C]. C is a multiple of num_groups. Alias: y may equal x. Source: arXiv:2405.21060. */
typedef struct bz_gated_rms_norm_args {
  uint32_t args_bytes;
  uint32_t num_tokens;
  uint32_t num_groups;
  uint32_t gate_last;     /* 0 or 1 */
  float eps;
  uint32_t reserved;
  bz_matrix x;
  bz_matrix z;
  bz_matrix y;
  const float *w;
} bz_gated_rms_norm_args;
BZ_API bz_status bz_gated_rms_norm(bz_stream *stream, const bz_gated_rms_norm_args *args);

/* bz_gather_rows: y[r, :] = x[rows[r], :].
** Shapes  rows [R]; x [num_source_rows, C], y [R, C]; row_status [R] or NULL: BZ_EINVAL for a row outside [0,
**         num_source_rows), whose row of y is 0. */
typedef struct bz_gather_rows_args {
  uint32_t args_bytes;
  uint32_t num_rows;      /* R */
  uint32_t num_source_rows;
  uint32_t reserved;
  bz_matrix x;
  bz_matrix y;
  const int32_t *rows;
  bz_status *row_status;
} bz_gather_rows_args;
BZ_API bz_status bz_gather_rows(bz_stream *stream, const bz_gather_rows_args *args);

/* bz_add: y[t, :] = scale * x[t, :] + y[t, :]. Shapes x, y [T, C]. x may equal y (same stride). */
typedef struct bz_add_args {
  uint32_t args_bytes;
  uint32_t num_tokens;
  float scale;
  uint32_t reserved;
  bz_matrix x;
  bz_matrix y;
} bz_add_args;
BZ_API bz_status bz_add(bz_stream *stream, const bz_add_args *args);

/* bz_softcap: y[t, :] = cap * tanh(x[t, :] / cap), which keeps values in [-cap, cap].
** Shapes  x, y [T, C]; cap > 0. y may equal x. Source: arXiv:2408.00118. */
typedef struct bz_softcap_args {
  uint32_t args_bytes;
  uint32_t num_tokens;
  float cap;
  uint32_t reserved;
  bz_matrix x;
  bz_matrix y;
} bz_softcap_args;
BZ_API bz_status bz_softcap(bz_stream *stream, const bz_softcap_args *args);

/* bz_scatter_ids: dst[dst_rows[i]] = src[src_rows[i]]: ids that a step has sampled become inputs of the next one
** without the host. Shapes src_rows, dst_rows [n]; src [num_src], dst [num_dst]. An i with either row out of range does
** nothing; dst_rows must differ. */
typedef struct bz_scatter_ids_args {
  uint32_t args_bytes;
  uint32_t num_ids;       /* n */
  uint32_t num_src;
  uint32_t num_dst;
  const int32_t *src;
  const int32_t *src_rows;
  const int32_t *dst_rows;
  int32_t *dst;
} bz_scatter_ids_args;
BZ_API bz_status bz_scatter_ids(bz_stream *stream, const bz_scatter_ids_args *args);

/* bz_check_finite: row_status[r] = BZ_ENUMERIC where a value of row r of x is NaN or infinite, else BZ_OK.
** Shapes  x [R, C], row_status [R]. */
typedef struct bz_check_finite_args {
  uint32_t args_bytes;
  uint32_t num_rows;      /* R */
  bz_matrix x;
  bz_status *row_status;
} bz_check_finite_args;
BZ_API bz_status bz_check_finite(bz_stream *stream, const bz_check_finite_args *args);

/* ---- Sampling ----------------------------------------------------------------------------------------------- */

/* bz_logits_process: what a request asks to be done to its logits before temperature, in vLLM V1's order:
**   1. bitmask: tokens whose bit is 0 become -inf (row bitmask_row[r] of bitmask, -1: none);
**   2. allowed ids: when allow_start[r] < allow_start[r+1], every other token becomes -inf;
**   3. edits: logits[r, edit_ids[i]] += edit_values[i] for i in [edit_start[r], edit_start[r+1]), in order; -inf
**      forbids;
**   4. penalties over the request's tokens: repetition over prompt and output (l > 0 ? l / p : l * p), then
**      frequency * count(output) and presence * [count(output) > 0] subtracted.
** Any of the pointers of a group may be NULL: that group is skipped. token_ids row token_row[r] holds num_tokens_of[r]
** ids, the first num_prompt_of[r] of them the prompt. Rows are independent; logits are changed in place.
** row_status, if not NULL: one status for each row. BZ_ENUMERIC: the logits given are not all finite. BZ_EINVAL: an id
**   is not in [0, V). The row's logits are undefined then. Without row_status logits are not checked.
** Shapes  logits float32 [R, V]; per-row arrays [R]; *_start [R + 1]; bitmask [.., ceil(V / 32)]. */
typedef struct bz_logits_process_args {
  uint32_t args_bytes;
  uint32_t num_requests;
  bz_matrix logits;
  const uint32_t *bitmask;
  const int32_t *bitmask_row;
  const int32_t *allow_start;
  const int32_t *allow_ids;
  const int32_t *edit_start;
  const int32_t *edit_ids;
  const float *edit_values;
  const int32_t *token_ids;
  uint64_t token_stride;
  const int32_t *token_row;
  const int32_t *num_tokens_of;
  const int32_t *num_prompt_of;
  const float *repetition;
  const float *frequency;
  const float *presence;
  bz_status *row_status;  /* written, or NULL */
} bz_logits_process_args;
BZ_API bz_status bz_logits_process(bz_stream *stream, const bz_logits_process_args *args);

/* bz_sample: one token a row.
** temperature[r] < 1e-5: the largest logit, the lowest id among equals. Else logits / temperature, then
**   min_p: l < max + ln(min_p) becomes -inf; top_k > 0: values below the k-th largest become -inf (ties are kept);
**   top_p < 1: of the survivors in ascending probability, those with cumulative probability <= 1 - p go; the last
**   stays;
**   draw: argmax(l - ln(-ln(u))), u = (h + 1/2) / 2^32, h = Murmur3 32-bit of (seed, position, token id) as five little
**   endian uint32 words (seed low, seed high, position, token id, 0x62616f7a), hash seed 0, length 20:
**   stateless, so it depends neither on the batch nor on drafts.
** A row that is all -inf gives the lowest id whose logit is largest (id 0).
** out_processed, if not NULL: what was drawn from: logits / temperature, -inf where min_p, top_k or top_p took the
** token out; of a greedy row the logits as they are.
** row_status, if not NULL: one status for each row, BZ_ENUMERIC where a logit is NaN. Such a row gives id 0 and leaves
**   its row of out_processed undefined. Without row_status a NaN fails the op with BZ_ENUMERIC.
** Shapes  logits float32 [R, V], not changed; temperature, top_p, min_p float [R]; top_k int32 [R] (<= 0 or >= V: off);
**         seeds uint64 [R]; positions int32 [R]; out int32 [R]; out_processed float32 [R, V].
** Source  arXiv:1611.01144. */
typedef struct bz_sample_args {
  uint32_t args_bytes;
  uint32_t num_requests;
  bz_matrix logits;
  const float *temperature;
  const float *top_p;
  const float *min_p;
  const int32_t *top_k;
  const uint64_t *seeds;
  const int32_t *positions;
  int32_t *out;
  bz_matrix out_processed; /* data NULL: not wanted */
  bz_status *row_status;  /* written, or NULL */
} bz_sample_args;
BZ_API bz_status bz_sample(bz_stream *stream, const bz_sample_args *args);

/* bz_logprobs: log-softmax of each row (float32 out, float64 sums) read at one chosen id and at the k largest.
** Ties among the k largest go to the lower id. rank = number of logits >= the chosen one's (1-based, itself included).
** Shapes  logits float32 [R, V]; ids [R]; out_logprob [R]; out_rank int32 [R]; out_top_ids int32 [R, k],
**         out_top_logprobs [R, k]. k = num_top in [0, V]; with mode BZ_LOGPROBS_LOGITS raw logits are returned. */
enum { BZ_LOGPROBS_LOG_SOFTMAX = 0, BZ_LOGPROBS_LOGITS = 1 };
typedef struct bz_logprobs_args {
  uint32_t args_bytes;
  uint32_t num_requests;
  uint32_t num_top;
  uint32_t mode;
  bz_matrix logits;
  const int32_t *ids;
  float *out_logprob;
  int32_t *out_rank;
  int32_t *out_top_ids;
  float *out_top_logprobs;
} bz_logprobs_args;
BZ_API bz_status bz_logprobs(bz_stream *stream, const bz_logprobs_args *args);

/* ---- Limits ------------------------------------------------------------------------------------------------- */

/* What the stream's threads can do at most, to hold other figures against: not ops, never recorded.
** bz_measure_read: each thread reads its share of `bytes` of memory, in large pages, that it has written before, again
** and again for about `milliseconds`. bz_measure_products: each does multiply-adds of two values of dtype (BZ_F32;
** BZ_BF16, summed in float32; BZ_I8, summed in int32) in registers, with the best instruction of the stream's level;
** or, with_library, the threads multiply matrices with the vendor's library (oneDNN on the CPU).
** Errors  BZ_EINVAL, BZ_ENOMEM; BZ_ENOSYS where there is no instruction, or no product in the library, for the type. */
typedef struct bz_measure_read_args {
  uint32_t args_bytes;
  uint32_t milliseconds;
  uint64_t bytes;
  uint64_t out_bytes;       /* written: read in all, by all threads */
  uint64_t out_nanoseconds; /* written */
} bz_measure_read_args;
BZ_API bz_status bz_measure_read(bz_stream *stream, bz_measure_read_args *args);
typedef struct bz_measure_products_args {
  uint32_t args_bytes;
  uint32_t milliseconds;
  uint32_t dtype;
  uint32_t with_library;
  uint64_t out_products;    /* written: multiply-adds in all, by all threads */
  uint64_t out_nanoseconds; /* written */
} bz_measure_products_args;
BZ_API bz_status bz_measure_products(bz_stream *stream, bz_measure_products_args *args);

#ifdef __cplusplus
}
#endif
#endif
