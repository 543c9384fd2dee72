// bz_linear_heads. An item is a block of columns of one head's matrix, for all tokens: a thread reads its share of the
// weights once, and an element's sum has one order whatever the number of tokens.
#include "../kernels.h"
#include "attention_tile.h"

namespace bz::BZ_LEVEL {

typedef const bz_linear_heads_args Args;

constexpr uint32_t COLUMNS = 64; // of an item: a multiple of each register tile's

struct WeightF32 {
  typedef float Element;
  BZ_INLINE F load_row(const float *w) { return load(w); }
  BZ_INLINE float value(const float *w) { return *w; }
};
struct WeightBf16 {
  typedef uint16_t Element;
  BZ_INLINE F load_row(const uint16_t *w) { return load_bf16(w); }
  BZ_INLINE float value(const uint16_t *w) { return bf16_to_f32(*w); }
};

// Where the tokens of one head are: its first value of each, and how far it is to the next token's.
struct HeadRows {
  const float *x;
  float *y;
  uint64_t x_stride, y_stride;
};

// y[t][0, C * W) for N tokens.
template <class Weight, uint32_t N, uint32_t C>
[[gnu::noinline]] static void multiply(const HeadRows &rows, const typename Weight::Element *w, uint64_t n,
                                       uint64_t c) {
  F acc[N][C] = {};
  for (uint64_t i = 0; i < c; i++)
    add_product(acc, [&](uint32_t j) { return Weight::load_row(w + i * n + j * W); },
                [&](uint32_t t) { return rows.x[t * rows.x_stride + i]; });
  for (uint32_t t = 0; t < N; t++)
    for (uint32_t j = 0; j < C; j++) store(rows.y + t * rows.y_stride + j * W, acc[t][j]);
}

// The columns [begin, end) for N tokens. The last few, less than a register, come one by one.
template <class Weight, uint32_t N>
static void multiply_columns(HeadRows rows, const typename Weight::Element *w, uint64_t n, uint64_t c, Range columns) {
  constexpr uint32_t C = tile_columns(N);
  uint64_t at = columns.begin;
  float *y = rows.y;
  const auto step = [&](uint64_t width) {
    at += width;
    rows.y = y + at;
  };
  rows.y = y + at;
  for (; at + C * W <= columns.end; step(C * W)) multiply<Weight, N, C>(rows, w + at, n, c);
  for (; at + W <= columns.end; step(W)) multiply<Weight, N, 1>(rows, w + at, n, c);
  for (; at < columns.end; step(1)) {
    for (uint32_t t = 0; t < N; t++) {
      float sum = 0;
      for (uint64_t i = 0; i < c; i++) sum += Weight::value(w + i * n + at) * rows.x[t * rows.x_stride + i];
      rows.y[t * rows.y_stride] = sum;
    }
  }
}

template <class Weight> static void run(Args &a, Team &team) {
  const uint64_t blocks = (a.n + COLUMNS - 1) / COLUMNS, x_dim = a.x.cols / a.num_heads, y_dim = a.y.cols / a.num_heads;
  const Range items = split(a.num_heads * blocks, team);
  for (uint64_t item = items.begin; item < items.end; item++) {
    const uint64_t head = item / blocks, begin = item % blocks * COLUMNS;
    const Range columns = {begin, begin + COLUMNS < a.n ? begin + COLUMNS : a.n};
    const auto *w = static_cast<const typename Weight::Element *>(a.w) + head * a.c * a.n;
    for_query_groups(a.num_tokens, [&](uint32_t t, auto count) {
      const HeadRows rows = {row_of(a.x, t) + head * x_dim, row_of(a.y, t) + head * y_dim, a.x.stride, a.y.stride};
      multiply_columns<Weight, decltype(count)::value>(rows, w, a.n, a.c, columns);
    });
  }
}

void linear_heads(Args &a, Team &team) {
  if (a.w_dtype == BZ_F32) run<WeightF32>(a, team);
  else run<WeightBf16>(a, team);
}

} // namespace bz::BZ_LEVEL
