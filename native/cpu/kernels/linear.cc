// bz_linear of one instruction set level: quantize the activations, split the output over the team, multiply.
#include "../linear_pieces.h"
#include "linear_parts.h"

namespace bz::BZ_LEVEL {

// Fewest tokens for which a tile unit's product is the faster one. Measured.
[[maybe_unused]] constexpr uint32_t AMX_TOKENS = 16, AMX_FINE_TOKENS = 8;

// Threads side by side along the tokens: more than one only where blocks are too few.
static uint32_t token_threads(const bz_weight &w, uint32_t num_tokens, const Team &team) {
  const uint32_t tiles = (num_tokens + TOKEN_TILE - 1) / TOKEN_TILE;
  uint32_t n = 1;
  while (n < tiles && n < team.n && w.num_blocks * n < 4 * team.n && team.n % (n * 2) == 0) n *= 2;
  return n;
}

// `along`: token_threads.
static Share share_of(const bz_weight &w, uint32_t num_tokens, uint32_t along, const Team &team) {
  const Team by_block = {team.tid / along, team.n / along, nullptr}, by_token = {team.tid % along, along, nullptr};
  const Range blocks = split(w.num_blocks, by_block), tokens = split(num_tokens, by_token, TOKEN_TILE);
  return {static_cast<uint32_t>(blocks.begin), static_cast<uint32_t>(blocks.end), static_cast<uint32_t>(tokens.begin),
          static_cast<uint32_t>(tokens.end)};
}

// multiply(segment, its blocks and tokens), until this thread has no more to do.
template <class Multiply> static void for_each_share(const bz_linear_args &a, Team &team, Multiply multiply) {
  const bz_weight &w = *a.weight;
  const auto run = [&](const Share &share) {
    for (uint32_t i = 0; i < w.num_segments; i++) {
      const Segment &s = w.segments[i];
      Share part = share; // my blocks of this segment
      part.block_begin = share.block_begin > s.first_block ? share.block_begin - s.first_block : 0;
      part.block_end = share.block_end > s.first_block ? share.block_end - s.first_block : 0;
      if (part.block_end > s.num_blocks) part.block_end = s.num_blocks;
      if (part.block_begin < part.block_end) multiply(s, part);
    }
  };
  const uint32_t along = token_threads(w, a.num_tokens, team);
  if (along > 1) {
    const Share share = share_of(w, a.num_tokens, along, team);
    if (share.token_begin < share.token_end) run(share);
    return;
  }
  const Pieces pieces(w, a.num_tokens, team.n);
  if (pieces.own > 0) run({pieces.own * team.tid, pieces.own * (team.tid + 1), 0, a.num_tokens});
  uint32_t begin = pieces.own * team.n, number = 0; // of the piece that I came to
  for (;;) {
    for (const uint32_t claimed = team.claim(); number < claimed && begin < w.num_blocks; number++)
      begin += pieces.size(begin);
    if (begin == w.num_blocks) return;
    run({begin, begin + pieces.size(begin), 0, a.num_tokens});
  }
}

// Few values are quantized by every thread for itself: that costs less than waiting for each other.
static bool quantize_alone(const bz_linear_args &a) {
  constexpr uint64_t MOST = 4096;
  return uint64_t{a.num_tokens} * a.weight->c <= MOST;
}

static uint32_t activation_planes(const bz_linear_args &a) { return a.flags & BZ_LINEAR_FINE ? 2 : 1; }

// Of one copy of the activations.
static uint64_t activation_bytes(const bz_linear_args &a) {
  return (Activations(nullptr, *a.weight, a.num_tokens, activation_planes(a)).bytes + 63) / 64 * 64;
}

static uint64_t scratch_bytes(const bz_linear_args &a, uint32_t num_threads) {
  if (a.weight->is_float) return 0;
  const uint64_t copies = quantize_alone(a) ? num_threads : 1;
  return copies * activation_bytes(a) + num_threads * panel_bytes(a.weight->c, activation_planes(a));
}

static void linear(const bz_linear_args &a, Team &team) {
  const bz_weight &w = *a.weight;
  const Output out = {a.y, a.y_stride, a.bias, (a.flags & BZ_LINEAR_ACCUMULATE) != 0};
  const auto multiply_float = [&](const Segment &s, const Share &share) {
    linear_float(s, a.x, a.x_stride, w.c, out, share);
  };
  if (w.is_float) return for_each_share(a, team, multiply_float);
  const uint32_t planes = activation_planes(a);
  const uint64_t bytes = activation_bytes(a);
  const bool alone = quantize_alone(a);
  const Activations act(team.scratch() + (alone ? team.tid * bytes : 0), w, a.num_tokens, planes);
  // In the order of memory: what two threads write lies in different cache lines.
  const Range mine = alone ? Range{0, act.cells()} : split(act.cells(), team, act.tile);
  quantize(a.x, a.x_stride, w.c, act, mine.begin, mine.end);
  if (!alone) team.barrier();
  for_each_share(a, team, [&](const Segment &s, const Share &share) {
    if (s.format.is_float()) return multiply_float(s, share);
#if defined(__AMX_INT8__)
    std::byte *panel = team.scratch() + (alone ? team.n : 1) * bytes + team.tid * panel_bytes(w.c, planes);
    if (a.num_tokens >= (planes == 2 ? AMX_FINE_TOKENS : AMX_TOKENS)) return linear_int_amx(s, act, out, share, panel);
#endif
    linear_int(s, act, out, share);
  });
}

extern const LinearKernels linear_kernels = {linear, scratch_bytes};

} // namespace bz::BZ_LEVEL
