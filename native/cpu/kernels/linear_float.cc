// The product of float32 activations with float32, bfloat16 and float16 weights, in float32.
//
// A register tile of blocks of 16 output rows times tokens; every sum runs over the columns in rising order, one fused
// multiply-add each, whatever the tile: a token's result does not depend on the others.
#include "linear_parts.h"
#include "store_block.h"

namespace bz::BZ_LEVEL {
namespace {

#if defined(__AVX512F__)
// Many tokens: 24 sums, weights are read from the second cache once for 12 tokens. Few: 4 streams of weights at once.
constexpr uint32_t WIDE_BLOCKS = 2, WIDE_TOKENS = 12, FEW_BLOCKS = 4, FEW_TOKENS = 4;
#else
constexpr uint32_t WIDE_BLOCKS = 1, WIDE_TOKENS = 4, FEW_BLOCKS = 2, FEW_TOKENS = 2;
#endif

template <Storage S> inline void load_pair(const std::byte *p, Floats *first, Floats *second) {
  if constexpr (S == Storage::f32) {
    *first = load_f32(reinterpret_cast<const float *>(p));
    *second = load_f32(reinterpret_cast<const float *>(p) + LANES);
  } else {
    const Bytes pair = load_bytes(p);
    *first = S == Storage::bf16 ? first_bf16(pair) : first_f16(pair);
    *second = S == Storage::bf16 ? second_bf16(pair) : second_f16(pair);
  }
}

struct Rows {
  const float *x;
  uint64_t stride;
  uint32_t c;
};

template <Storage S, uint32_t B, uint32_t N> void tile_product(const Segment &s, const Rows &rows, const Output &out,
                                                               uint32_t block, uint32_t token) {
  constexpr uint64_t pair_bytes = S == Storage::f32 ? 128 : 64;
  const std::byte *values = s.values + block * s.block_value_bytes();
  const uint64_t block_bytes = s.block_value_bytes();
  const float *x = rows.x + token * rows.stride;
  Floats sums[B][N];
  for (uint32_t b = 0; b < B; b++)
    for (uint32_t t = 0; t < N; t++) sums[b][t] = zeros();
  const uint32_t pairs = rows.c / 2;
  for (uint32_t i = 0; i < pairs; i++) {
    Floats first[B], second[B];
#pragma GCC unroll 4
    for (uint32_t b = 0; b < B; b++) load_pair<S>(values + b * block_bytes + i * pair_bytes, &first[b], &second[b]);
#pragma GCC unroll 12
    for (uint32_t t = 0; t < N; t++) {
      const Floats x0 = splat(x[t * rows.stride + 2 * i]), x1 = splat(x[t * rows.stride + 2 * i + 1]);
#pragma GCC unroll 4
      for (uint32_t b = 0; b < B; b++) sums[b][t] = fma(second[b], x1, fma(first[b], x0, sums[b][t]));
    }
  }
  if (rows.c % 2 != 0) {
    for (uint32_t b = 0; b < B; b++) {
      Floats first, second;
      load_pair<S>(values + b * block_bytes + pairs * pair_bytes, &first, &second); // the second is padding
      for (uint32_t t = 0; t < N; t++) sums[b][t] = fma(first, splat(x[t * rows.stride + 2 * pairs]), sums[b][t]);
    }
  }
  for (uint32_t t = 0; t < N; t++)
    for (uint32_t b = 0; b < B; b++) store_block(out, s, block + b, token + t, sums[b][t]);
}

// Blocks [begin, end) for N tokens, B at a time.
template <Storage S, uint32_t B, uint32_t N> void strip_product(const Segment &s, const Rows &rows, const Output &out,
                                                                uint32_t begin, uint32_t end, uint32_t token) {
  uint32_t block = begin;
  for (; block + B <= end; block += B) tile_product<S, B, N>(s, rows, out, block, token);
  if constexpr (B > 1)
    for (; block < end; block++) tile_product<S, 1, N>(s, rows, out, block, token);
}

template <Storage S, uint32_t N> void few_products(const Segment &s, const Rows &rows, const Output &out,
                                                   uint32_t begin, uint32_t end, uint32_t token, uint32_t token_end) {
  for (; token + N <= token_end; token += N) strip_product<S, FEW_BLOCKS, N>(s, rows, out, begin, end, token);
  if constexpr (N > 1) few_products<S, N / 2>(s, rows, out, begin, end, token, token_end);
}

template <Storage S> void share_product(const Segment &s, const Rows &rows, const Output &out, const Share &share) {
  const uint32_t step = (panel_blocks(s.c_padded) + FEW_BLOCKS - 1) / FEW_BLOCKS * FEW_BLOCKS;
  for (uint32_t begin = share.block_begin; begin < share.block_end; begin += step) {
    const uint32_t end = begin + step < share.block_end ? begin + step : share.block_end;
    uint32_t token = share.token_begin;
    for (; token + WIDE_TOKENS <= share.token_end; token += WIDE_TOKENS)
      strip_product<S, WIDE_BLOCKS, WIDE_TOKENS>(s, rows, out, begin, end, token);
    few_products<S, FEW_TOKENS>(s, rows, out, begin, end, token, share.token_end);
  }
}

} // namespace

void linear_float(const Segment &s, const float *x, uint64_t x_stride, uint32_t c, const Output &out,
                  const Share &share) {
  const Rows rows = {x, x_stride, c};
  switch (s.format.storage) {
    case Storage::f32: return share_product<Storage::f32>(s, rows, out, share);
    case Storage::bf16: return share_product<Storage::bf16>(s, rows, out, share);
    default: return share_product<Storage::f16>(s, rows, out, share);
  }
}

} // namespace bz::BZ_LEVEL
