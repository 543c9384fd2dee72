// bz_linear of one instruction set level: quantize the activations, split the output over the team, multiply.
#include "../linear_pieces.h"
#include "linear_parts.h"

namespace bz::BZ_LEVEL {

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

// Blocks that products take side by side, and that are worth filling the tile unit's pipeline for.
#if defined(__AMX_INT8__)
constexpr uint32_t SIDE_BY_SIDE = 4;
#else
constexpr uint32_t SIDE_BY_SIDE = 2;
#endif

// multiply(segment, its blocks and tokens), until this thread has no more to do.
template <class Multiply> static void for_each_share(const LinearArgs &a, Team &team, Multiply multiply) {
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
  const Pieces pieces(w, a.num_tokens, team.n, SIDE_BY_SIDE);
  if (pieces.own > 0) run({pieces.own * team.tid, pieces.own * (team.tid + 1), 0, a.num_tokens});
  uint32_t begin = pieces.own * team.n, number = 0; // of the piece that I came to
  for (;;) {
    for (const uint32_t claimed = team.claim(); number < claimed && begin < w.num_blocks; number++)
      begin += pieces.size(begin);
    if (begin == w.num_blocks) return;
    run({begin, begin + pieces.size(begin), 0, a.num_tokens});
  }
}

// Whether products of bfloat16 weights read activations rounded to bfloat16.
#if defined(__AVX512BF16__)
constexpr bool ROUNDS_TO_BF16 = true;
#else
constexpr bool ROUNDS_TO_BF16 = false;
#endif

// How a segment's activations are prepared.
enum class Form { none, bf16, levels };

static Form form_of(const Segment &s) {
  if (!s.format.is_float()) return Form::levels;
  return ROUNDS_TO_BF16 && s.format.storage == Storage::bf16 ? Form::bf16 : Form::none;
}

static bool needs(const bz_weight &w, Form form) {
  for (uint32_t i = 0; i < w.num_segments; i++)
    if (form_of(w.segments[i]) == form) return true;
  return false;
}

static uint32_t activation_planes(const LinearArgs &a) { return a.flags & BZ_LINEAR_FINE ? 2 : 1; }

static uint64_t whole_lines(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

// The activations as the weight's products read them. Every thread makes the same views of the same memory.
struct Prepared {
  const bool has_levels, has_bf16;
  const Activations levels;
#if defined(__AVX512BF16__)
  const Bf16Activations bf16;
#endif
  uint64_t bytes; // from `at` on; a null `at` asks for this alone

  Prepared(std::byte *at, const LinearArgs &a)
      : has_levels(needs(*a.weight, Form::levels)), has_bf16(needs(*a.weight, Form::bf16)),
        levels(at, *a.weight, a.num_tokens, activation_planes(a)),
#if defined(__AVX512BF16__)
        bf16(at + (has_levels ? whole_lines(levels.bytes) : 0), a.num_tokens, a.weight->c),
#endif
        bytes(has_levels ? whole_lines(levels.bytes) : 0) {
#if defined(__AVX512BF16__)
    if (has_bf16) bytes += whole_lines(bf16.bytes);
#endif
  }

  // Prepares the share of thread `tid` of `n`. In the order of memory: what two threads write lies in different lines.
  void fill(const LinearArgs &a, const Team &team) const {
    if (has_levels) {
      const Range mine = split(levels.cells(), team, levels.tile);
      quantize(a.x, a.x_stride, a.weight->c, levels, mine.begin, mine.end);
    }
#if defined(__AVX512BF16__)
    if (has_bf16) {
      const Range mine = split(bf16.cells(), team, bf16.tile);
      round_to_bf16(a.x, a.x_stride, bf16, a.weight->c, mine.begin, mine.end);
    }
#endif
  }
};

// So few values are prepared by every thread for itself: that costs less than waiting for each other.
constexpr uint32_t MOST_ALONE = 4096;

static bool prepares_alone(const LinearArgs &a) { return uint64_t{a.num_tokens} * a.weight->c <= MOST_ALONE; }

static uint64_t scratch_bytes(const LinearArgs &a, uint32_t num_threads) {
  const uint64_t bytes = Prepared(nullptr, a).bytes * (prepares_alone(a) ? num_threads : 1);
  return needs(*a.weight, Form::levels) ? bytes + num_threads * panel_bytes(a.weight->c, activation_planes(a)) : bytes;
}

static uint64_t most_scratch_bytes(const LinearArgs &a, uint32_t num_threads) {
  LinearArgs alone = a; // the most tokens that are prepared by every thread, which takes more than a few more do
  const uint32_t tokens = MOST_ALONE / a.weight->c;
  alone.num_tokens = tokens < a.num_tokens ? tokens : a.num_tokens;
  const uint64_t bytes = scratch_bytes(a, num_threads);
  if (alone.num_tokens == 0) return bytes;
  const uint64_t bytes_alone = scratch_bytes(alone, num_threads);
  return bytes > bytes_alone ? bytes : bytes_alone;
}

static void linear(const LinearArgs &a, Team &team) {
  const bz_weight &w = *a.weight;
  const Output out = {a.y, a.y_stride, a.bias, (a.flags & BZ_LINEAR_ACCUMULATE) != 0};
  const bool alone = prepares_alone(a);
  const uint64_t bytes = Prepared(nullptr, a).bytes;
  const Prepared x(team.scratch() + (alone ? team.tid * bytes : 0), a);
  if (bytes > 0) {
    x.fill(a, alone ? Team{0, 1, nullptr} : team);
    if (!alone) team.barrier();
  }
  for_each_share(a, team, [&](const Segment &s, const Share &share) {
    switch (form_of(s)) {
#if defined(__AVX512BF16__)
      case Form::bf16: return linear_bf16(s, x.bf16, out, share);
#endif
      case Form::levels: break;
      default: return linear_float(s, a.x, a.x_stride, w.c, out, share);
    }
#if defined(__AMX_INT8__)
    const uint32_t planes = activation_planes(a);
    std::byte *panel = team.scratch() + (alone ? team.n : 1) * bytes + team.tid * panel_bytes(w.c, planes);
    if (uses_tiles(a.num_tokens)) return linear_int_amx(s, x.levels, out, share, panel);
#endif
    linear_int(s, x.levels, out, share);
  });
}

extern const LinearKernels linear_kernels = {linear, scratch_bytes, most_scratch_bytes};

} // namespace bz::BZ_LEVEL
