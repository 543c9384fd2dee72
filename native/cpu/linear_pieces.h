// Which blocks of a weight a thread multiplies: first a piece of its own, then what it claims of the rest, so that one
// with a slower processor, or less of it, gets fewer.
#pragma once
#include "packed_weight.h"

namespace bz {

struct Pieces {
  uint32_t num_blocks, num_threads;
  uint32_t own;   // blocks of each thread's own piece, from own * tid on; pieces to claim begin at own * num_threads
  uint32_t least; // blocks of the last pieces
  uint32_t unit;  // pieces of many tokens are multiples of it

  // `unit`: blocks that products take side by side.
  Pieces(const bz_weight &w, uint32_t num_tokens, uint32_t num_threads, uint32_t unit)
      : num_blocks(w.num_blocks), num_threads(num_threads), unit(unit) {
    // With few tokens memory sets the pace, and is fastest while a thread reads on. With more, arithmetic does.
    constexpr uint32_t FEW_TOKENS = 16;
    own = num_blocks * (num_tokens < FEW_TOKENS ? 7 : 4) / 8 / num_threads;
    if (own > MAX_UNIT) own = own / MAX_UNIT * MAX_UNIT;
    // Some 20 us of products, or 5 us of reading: as short is the wait for each other at the end.
    constexpr uint64_t PRODUCTS = 1 << 20, BYTES = 32 * 1024;
    const uint64_t by_work = PRODUCTS / (uint64_t{num_tokens} * w.c * LANES), by_bytes = BYTES * num_blocks / w.bytes;
    const uint64_t even = num_blocks / num_threads, some = (by_work < by_bytes ? by_work : by_bytes) + 1;
    least = static_cast<uint32_t>(some < even ? some : even > 0 ? even : 1);
    if (w.is_float || num_tokens >= FEW_TOKENS) least = (least + unit - 1) / unit * unit;
  }

  // Blocks of the piece to claim that begins at block `begin`. Large at first: the activations are read once a piece.
  uint32_t size(uint32_t begin) const {
    const uint32_t left = num_blocks - begin, share = left / (2 * num_threads) / unit * unit;
    const uint32_t blocks = share > least ? share : least;
    return blocks < left ? blocks : left;
  }

  static constexpr uint32_t MAX_UNIT = 4; // a thread's own piece is the same for every unit
};

} // namespace bz
