// Products of rows with the experts they go to.
//
// Rows are sorted by expert; expert after expert, the rows that go to it are gathered, multiplied as any matrix's rows
// are, and put where they belong. So an expert's weights are read once, and a row's result is what bz_linear gives.
#include <algorithm>

#include "held_weight.h"
#include "linear_kernels.h"
#include "matrix.h"
#include "stream.h"

namespace bz {
namespace {

// Rows of one expert that are multiplied together: more of them read its weights again, which arithmetic hides.
constexpr uint32_t MOST_ROWS = 512;

struct LinearExperts {
  bz_linear_experts_args args;
  const LinearKernels *kernels;
  // Offsets into the scratch memory, behind what products take.
  uint64_t starts_at; // [X + 1]: where each expert's rows begin
  uint64_t rows_at;   // [R]: rows by expert, in rising order
  uint64_t x_at;      // [MOST_ROWS, C]
  uint64_t y_at;      // [MOST_ROWS, N]
};

// Sorts rows by expert. Rows without one are 0.
void sort_rows(const bz_linear_experts_args &a, uint32_t *starts, uint32_t *rows, Team &team) {
  const uint32_t num_experts = a.weight->num_experts;
  std::fill(starts, starts + num_experts + 1, 0u);
  for (uint32_t r = 0; r < a.num_rows; r++) {
    const auto id = static_cast<uint32_t>(a.ids[r]);
    const bool is_there = id < num_experts;
    if (is_there) starts[id]++;
    if (a.row_status != nullptr) a.row_status[r] = is_there ? BZ_OK : BZ_EINVAL;
    if (is_there) continue;
    std::memset(row_of(a.y, r), 0, uint64_t{a.y.cols} * 4);
    if (a.row_status == nullptr)
      team.fail(BZ_EINVAL, "linear_experts: ids[%u] is %d, must be in [0, %u)", r, a.ids[r], num_experts);
  }
  uint32_t end = 0;
  for (uint32_t e = 0; e <= num_experts; e++) end += starts[e], starts[e] = end;
  // From the last row on: each start goes down to where it belongs.
  for (uint32_t r = a.num_rows; r-- > 0;)
    if (const auto id = static_cast<uint32_t>(a.ids[r]); id < num_experts) rows[--starts[id]] = r;
}

void gather(const bz_linear_experts_args &a, const uint32_t *rows, uint32_t count, const uint32_t *order, float *to,
            const Team &team) {
  const uint64_t c = a.x.cols;
  const Range mine = split(count * c, team, 16);
  for (uint64_t at = mine.begin; at < mine.end;) {
    const uint64_t i = at / c, first = at % c, end = std::min(c, first + mine.end - at);
    const float *from = row_of(a.x, rows[i] / a.x_repeat);
    if (order == nullptr) std::memcpy(to + at, from + first, (end - first) * 4);
    else
      for (uint64_t k = first; k < end; k++) to[at + k - first] = from[order[k]];
    at += end - first;
  }
}

// Columns [first, first + n) of y.
void scatter(const bz_linear_experts_args &a, const uint32_t *rows, uint32_t count, const float *from, uint64_t first,
             uint64_t n, const Team &team) {
  const Range mine = split(count, team);
  for (uint64_t i = mine.begin; i < mine.end; i++)
    std::memcpy(row_of(a.y, rows[i]) + first, from + i * n, n * 4);
}

// The product of `count` rows with expert e.
void expert_product(const LinearExperts &o, uint32_t e, const uint32_t *rows, uint32_t count, Team &team) {
  const bz_linear_experts_args &a = o.args;
  auto *x = reinterpret_cast<float *>(team.scratch() + o.x_at), *y = reinterpret_cast<float *>(team.scratch() + o.y_at);
  uint64_t first = 0; // column of y
  for (const HeldWeight *w = &held(*a.weight); w != nullptr; first += w->n, w = w->next) {
    const bz_weight matrix = expert_of(*w, e);
    const uint32_t *order = order_of(*w, e);
    LinearArgs product = {
        .num_tokens = count,
        .flags = a.flags,
        .weight = &matrix,
        .x = row_of(a.x, rows[0] / a.x_repeat),
        .bias = a.bias != nullptr ? a.bias + uint64_t{e} * a.y.cols + first : nullptr,
        .y = row_of(a.y, rows[0]) + first,
        .x_stride = a.x.stride,
        .y_stride = a.y.stride,
    };
    if (count > 1) product.y = y, product.y_stride = w->n;
    if (count > 1 || order != nullptr) {
      gather(a, rows, count, order, x, team);
      product.x = x;
      product.x_stride = a.x.cols;
      team.barrier();
    }
    o.kernels->linear(product, team);
    team.barrier();
    if (count > 1) scatter(a, rows, count, y, first, w->n, team);
  }
}

void linear_experts(const LinearExperts &o, Team &team) {
  auto *starts = reinterpret_cast<uint32_t *>(team.scratch() + o.starts_at);
  auto *rows = reinterpret_cast<uint32_t *>(team.scratch() + o.rows_at);
  if (team.tid == 0) sort_rows(o.args, starts, rows, team);
  team.barrier();
  for (uint32_t e = 0; e < o.args.weight->num_experts; e++)
    for (uint32_t at = starts[e]; at < starts[e + 1]; at += MOST_ROWS)
      expert_product(o, e, rows + at, std::min(MOST_ROWS, starts[e + 1] - at), team);
}

uint64_t whole_lines(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

} // namespace
} // namespace bz

extern "C" bz_status bz_linear_experts(bz_stream *stream, const bz_linear_experts_args *args) {
  BZ_CHECK_ARGS("linear_experts", args);
  BZ_REQUIRE(stream != nullptr && args->weight != nullptr, BZ_EINVAL, "linear_experts: stream or weight is NULL");
  const bz::WeightShape shape = bz::shape_of(*args->weight);
  BZ_TRY(bz::check_linear_experts(args, shape, stream->mode == bz::Mode::plan));
  if (args->num_rows == 0) return BZ_OK;
  bz::LinearExperts o = {.args = *args, .kernels = stream->kernels->linear, .starts_at = 0, .rows_at = 0, .x_at = 0,
                         .y_at = 0};
  const uint32_t rows = std::min(bz::MOST_ROWS, args->num_rows);
  uint64_t bytes = 0, widest = 0;
  for (const bz::HeldWeight *w = &bz::held(*args->weight); w != nullptr; w = w->next) {
    const bz::LinearArgs product = {.num_tokens = rows, .flags = args->flags, .weight = w, .x = nullptr,
                                    .bias = nullptr, .y = nullptr, .x_stride = 0, .y_stride = 0};
    bytes = std::max(bytes, o.kernels->most_scratch_bytes(product, stream->num_threads));
    widest = std::max<uint64_t>(widest, w->n);
  }
  const auto take = [&](uint64_t count) {
    const uint64_t at = bz::whole_lines(bytes);
    bytes = at + count * 4;
    return at;
  };
  o.starts_at = take(uint64_t{shape.num_experts} + 1);
  o.rows_at = take(args->num_rows);
  o.x_at = take(uint64_t{rows} * shape.c);
  o.y_at = take(rows * widest);
  return bz::submit(stream, bz::linear_experts, o,
                    {.work = uint64_t{args->num_rows} * shape.n * shape.c / 16, .scratch_bytes = bytes});
}
