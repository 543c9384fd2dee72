// bz_linear of one instruction set level: quantize the activations, split the output over the team, multiply.
#include "linear_parts.h"

namespace bz::BZ_LEVEL {

// Fewest tokens for which a tile unit's product is the faster one. Measured.
[[maybe_unused]] static constexpr uint32_t AMX_TOKENS = 16, AMX_FINE_TOKENS = 8;

// With few tokens a thread reads its own part of the weights in a row: memory is faster so. From so many on arithmetic
// sets the pace, and threads claim about so many pieces each: one that has to share its processor gets fewer.
constexpr uint32_t CLAIM_TOKENS = 16, CLAIMS = 8;

static Activations place_activations(std::byte *at, uint32_t num_tokens, uint32_t c, uint32_t planes) {
  Activations a;
  a.num_tokens = num_tokens;
  a.planes = planes;
  a.tile = num_tokens < ACTIVATION_TILE ? num_tokens : ACTIVATION_TILE;
  a.groups = (c + GROUP - 1) / GROUP;
  const uint64_t cells = a.cells();
  a.scale = reinterpret_cast<float *>(at);
  a.sum = a.scale + cells;
  a.minus_sum = reinterpret_cast<int32_t *>(a.sum + cells);
  a.half_sum = reinterpret_cast<float *>(a.minus_sum + cells);
  a.minus_half_sum = reinterpret_cast<int32_t *>(a.half_sum + 2 * cells);
  a.levels = reinterpret_cast<int8_t *>(a.minus_half_sum + 2 * cells); // last: tile loads may read past them
  return a;
}

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

static void multiply(const Segment &s, const bz_linear_args &a, const Activations &act, const Output &out,
                     const Share &share, [[maybe_unused]] std::byte *panel) {
  if (s.format.is_float()) return linear_float(s, a.x, a.x_stride, a.weight->c, out, share);
#if defined(__AMX_INT8__)
  const uint32_t fewest = act.planes == 2 ? AMX_FINE_TOKENS : AMX_TOKENS;
  if (a.num_tokens >= fewest) return linear_int_amx(s, act, out, share, panel);
#endif
  linear_int(s, act, out, share);
}

static void linear(const bz_linear_args &a, Team &team) {
  const bz_weight &w = *a.weight;
  const uint32_t planes = activation_planes(a);
  const uint64_t bytes = w.is_float ? 0 : activation_bytes(a.num_tokens, w.c);
  const bool alone = quantize_alone(a.num_tokens, w.c);
  Activations act = {};
  if (!w.is_float) {
    act = place_activations(team.scratch() + (alone ? team.tid * bytes : 0), a.num_tokens, w.c, planes);
    // In the order of memory: what two threads write lies in different cache lines.
    const uint64_t cells = act.cells();
    const Range mine = alone ? Range{0, cells} : split(cells, team, act.tile);
    quantize(a.x, a.x_stride, w.c, act, mine.begin, mine.end);
    if (!alone) team.barrier();
  }
  std::byte *panel = team.scratch() + (alone ? team.n : 1) * bytes + team.tid * panel_bytes(w.c, planes);
  const Output out = {a.y, a.y_stride, a.bias, (a.flags & BZ_LINEAR_ACCUMULATE) != 0};
  const auto run = [&](const Share &share) {
    for (uint32_t i = 0; i < w.num_segments; i++) {
      const Segment &s = w.segments[i];
      Share part = share; // my blocks of this segment
      part.block_begin = share.block_begin > s.first_block ? share.block_begin - s.first_block : 0;
      part.block_end = share.block_end > s.first_block ? share.block_end - s.first_block : 0;
      if (part.block_end > s.num_blocks) part.block_end = s.num_blocks;
      if (part.block_begin < part.block_end) multiply(s, a, act, out, part, panel);
    }
  };
  const uint32_t along = token_threads(w, a.num_tokens, team);
  if (a.num_tokens < CLAIM_TOKENS || along > 1) {
    const Share share = share_of(w, a.num_tokens, along, team);
    if (share.token_begin < share.token_end) run(share);
    return;
  }
  const uint32_t piece = (w.num_blocks + CLAIMS * team.n - 1) / (CLAIMS * team.n);
  for (uint32_t begin; (begin = team.claim() * piece) < w.num_blocks;)
    run({begin, begin + piece < w.num_blocks ? begin + piece : w.num_blocks, 0, a.num_tokens});
}

extern const LinearKernels linear_kernels = {linear};

} // namespace bz::BZ_LEVEL
