// The product of activations with float32, bfloat16 and float16 weights, in float32.
//
// A register tile of blocks of 16 output rows times tokens; every sum runs over the columns in rising order, one fused
// multiply-add each, whatever the tile: a token's result does not depend on the others. Traffic: a panel of blocks that
// stays in the second cache is done for all tokens before the next; of a tile of tokens a chunk of columns stays in the
// first while the panel's blocks pass by. Sums wait in memory from chunk to chunk.
#include "linear_parts.h"
#include "store_block.h"

namespace bz::BZ_LEVEL {
namespace {

// Tokens a tile at most, and blocks for a tile of n tokens: as many sums as leave registers for a column's operands,
// and for lone tokens as many streams of weights as memory likes.
#if defined(__AVX512F__)
constexpr uint32_t TILE_TOKENS = 12;
constexpr uint32_t tile_blocks(uint32_t n) { return n <= 4 ? 4 : 2; }
#elif defined(__AVX2__)
constexpr uint32_t TILE_TOKENS = 6;
constexpr uint32_t tile_blocks(uint32_t n) { return n == 1 ? 4 : n == 2 ? 3 : n == 3 ? 2 : 1; }
#else
constexpr uint32_t TILE_TOKENS = 2; // lanes are loops: more of them only cost the compiler's time
constexpr uint32_t tile_blocks(uint32_t) { return 1; }
#endif

constexpr uint64_t PANEL_BYTES = 256 * 1024;
constexpr uint32_t MAX_PANEL_BLOCKS = 32;
constexpr uint32_t CHUNK_PAIRS = TILE_TOKENS > 6 ? 256 : 512; // pairs of columns
// With few tokens memory sets the pace, and the processor alone does not look far enough ahead.
constexpr uint32_t PREFETCH_TOKENS = 2, PREFETCH_PAIRS = 8;

// How weights in storage S meet float32 activations: a column at a time.
template <Storage S> struct FloatPairs {
  static constexpr uint64_t pair_bytes = S == Storage::f32 ? 128 : 64;

  // 16 rows of the first or the second column of a pair.
  static inline Floats load(const std::byte *pair, uint32_t column) {
    if constexpr (S == Storage::f32) return load_f32(reinterpret_cast<const float *>(pair) + column * LANES);
    const Bytes both = load_bytes(pair);
    if constexpr (S == Storage::bf16) return column != 0 ? second_bf16(both) : first_bf16(both);
    return column != 0 ? second_f16(both) : first_f16(both);
  }
  static inline Floats add(Floats sum, Floats w, const float *x) { return fma(w, splat(*x), sum); }
};

// Rows of activations, `c` columns of each.
struct Rows {
  const float *x;
  uint64_t stride;
  uint32_t c;
};

template <uint32_t B, uint32_t N> struct Sums {
  Floats of[B][N];

  void load(const float *from) {
    for (uint32_t b = 0; b < B; b++)
      for (uint32_t t = 0; t < N; t++) of[b][t] = load_f32(from + (b * N + t) * LANES);
  }
  void keep(float *to) const {
    for (uint32_t b = 0; b < B; b++)
      for (uint32_t t = 0; t < N; t++) store(to + (b * N + t) * LANES, of[b][t]);
  }
};

// Adds the columns [2 begin, 2 end) of B blocks for N tokens. `ahead`: bytes from a pair to the one to ask for early, 0
// for none.
template <class P, uint32_t B, uint32_t N>
inline void add_pairs(const std::byte *values, uint64_t block_bytes, const float *const *x, uint32_t begin,
                      uint32_t end, [[maybe_unused]] uint64_t ahead, Sums<B, N> &sums) {
  for (uint32_t i = begin; i < end; i++) {
#pragma GCC unroll 2
    for (uint32_t step = 0; step < 2; step++) {
#pragma GCC unroll 4
      for (uint32_t b = 0; b < B; b++) {
        const std::byte *pair = values + b * block_bytes + i * P::pair_bytes;
        if constexpr (N <= PREFETCH_TOKENS)
          if (P::pair_bytes > 64 || step == 0) __builtin_prefetch(pair + ahead + step * 64);
        const auto w = P::load(pair, step);
#pragma GCC unroll 12
        for (uint32_t t = 0; t < N; t++) sums.of[b][t] = P::add(sums.of[b][t], w, x[t] + 2 * i + step);
      }
    }
  }
}

// Blocks [block, block + B) for tokens [token, token + N), pairs [begin, end) of their columns. `kept`: their sums so
// far, and where they go before the last pair.
template <class P, uint32_t B, uint32_t N>
void tile_product(const Segment &s, const Rows &rows, const Output &out, uint32_t block,
                  uint32_t token, uint32_t begin, uint32_t end, float *kept) {
  const uint64_t block_bytes = s.block_value_bytes();
  const std::byte *values = s.values + block * block_bytes;
  const float *x[N];
  for (uint32_t t = 0; t < N; t++) x[t] = rows.x + (token + t) * rows.stride;
  Sums<B, N> sums;
  if (begin > 0) sums.load(kept);
  else
    for (auto &of_block : sums.of)
      for (Floats &sum : of_block) sum = zeros();
  const uint32_t pairs = rows.c / 2;
  if constexpr (N <= PREFETCH_TOKENS) {
    // The last pairs ask for the first ones of the blocks that come next.
    const uint32_t turn = end > begin + PREFETCH_PAIRS ? end - PREFETCH_PAIRS : begin;
    constexpr uint64_t ahead = PREFETCH_PAIRS * P::pair_bytes;
    add_pairs<P>(values, block_bytes, x, begin, turn, ahead, sums);
    add_pairs<P>(values, block_bytes, x, turn, end, ahead + (B - 1) * block_bytes, sums);
  } else {
    add_pairs<P>(values, block_bytes, x, begin, end, 0, sums);
  }
  if (end < pairs) return sums.keep(kept);
  if (rows.c % 2 != 0) { // the pair's second is padding
    for (uint32_t b = 0; b < B; b++) {
      const auto w = P::load(values + b * block_bytes + pairs * P::pair_bytes, 0);
      for (uint32_t t = 0; t < N; t++) sums.of[b][t] = P::add(sums.of[b][t], w, x[t] + 2 * pairs);
    }
  }
  store_blocks(out, s, block, token, sums.of);
}

// Blocks [begin, end), a panel, for N tokens.
template <class P, uint32_t N>
void panel_product(const Segment &s, const Rows &rows, const Output &out, uint32_t begin,
                   uint32_t end, uint32_t token) {
  alignas(64) float kept[MAX_PANEL_BLOCKS * N * LANES];
  constexpr uint32_t B = tile_blocks(N);
  const uint32_t pairs = rows.c / 2, chunks = N == 1 || pairs == 0 ? 1 : (pairs + CHUNK_PAIRS - 1) / CHUNK_PAIRS;
  for (uint32_t i = 0; i < chunks; i++) {
    const uint32_t first = pairs * i / chunks, last = pairs * (i + 1) / chunks;
    uint32_t block = begin;
    for (; block + B <= end; block += B)
      tile_product<P, B, N>(s, rows, out, block, token, first, last, kept + (block - begin) * N * LANES);
    if constexpr (B > 1)
      for (; block < end; block++)
        tile_product<P, 1, N>(s, rows, out, block, token, first, last, kept + (block - begin) * N * LANES);
  }
}

// The tokens [token, end), fewer than a tile of N + 1.
template <class P, uint32_t N>
void rest_product(const Segment &s, const Rows &rows, const Output &out, uint32_t begin,
                  uint32_t end, uint32_t token, uint32_t token_end) {
  if (token_end - token >= N) {
    panel_product<P, N>(s, rows, out, begin, end, token);
    token += N;
  }
  if constexpr (N > 1) rest_product<P, N - 1>(s, rows, out, begin, end, token, token_end);
}

template <class P>
void share_product(const Segment &s, const Rows &rows, const Output &out, const Share &share) {
  const uint64_t fit = PANEL_BYTES / s.block_value_bytes();
  const uint32_t panel = fit < 4 ? 4 : fit < MAX_PANEL_BLOCKS ? static_cast<uint32_t>(fit) / 4 * 4 : MAX_PANEL_BLOCKS;
  for (uint32_t begin = share.block_begin; begin < share.block_end; begin += panel) {
    const uint32_t end = begin + panel < share.block_end ? begin + panel : share.block_end;
    uint32_t token = share.token_begin;
    for (; token + TILE_TOKENS <= share.token_end; token += TILE_TOKENS)
      panel_product<P, TILE_TOKENS>(s, rows, out, begin, end, token);
    if (token < share.token_end)
      rest_product<P, TILE_TOKENS - 1>(s, rows, out, begin, end, token, share.token_end);
  }
}

} // namespace

void linear_float(const Segment &s, const float *x, uint64_t x_stride, uint32_t c, const Output &out,
                  const Share &share) {
  const Rows rows = {x, x_stride, c};
  switch (s.format.storage) {
    case Storage::f32: return share_product<FloatPairs<Storage::f32>>(s, rows, out, share);
    case Storage::bf16: return share_product<FloatPairs<Storage::bf16>>(s, rows, out, share);
    default: return share_product<FloatPairs<Storage::f16>>(s, rows, out, share);
  }
}

} // namespace bz::BZ_LEVEL
