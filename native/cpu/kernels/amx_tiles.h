// The tile unit (AMX) of one thread: eight tiles of up to 16 rows of 64 bytes.
//
// The compiler does not know what tile instructions read and write, so every one that touches memory says that it may
// be any of it. Tile numbers are part of the instructions, hence template parameters.
#pragma once
#include <cstdint>

#include <immintrin.h>

namespace bz {
namespace {

// Configures the tiles for the lifetime of this object: 0 to 4 have `rows` rows, 5 to 7 have `weight_rows`; rows of 0
// to 3 and of 5 to 7 have 64 bytes, those of tile 4 `token_bytes`.
class TileConfig {
 public:
  explicit TileConfig(uint32_t rows, uint32_t token_bytes = 64, uint32_t weight_rows = 16) {
    Config config;
    for (int i = 0; i < 8; i++) {
      config.row_bytes[i] = static_cast<uint16_t>(i == 4 ? token_bytes : 64);
      config.rows[i] = static_cast<uint8_t>(i < 5 ? rows : weight_rows);
    }
    asm volatile("ldtilecfg %0" : : "m"(config));
  }
  ~TileConfig() { asm volatile("tilerelease"); }
  TileConfig(const TileConfig &) = delete;
  TileConfig &operator=(const TileConfig &) = delete;

 private:
  struct alignas(64) Config {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
  };
};

#define BZ_TILE [[gnu::always_inline]] inline void
template <int T> BZ_TILE zero_tile() { asm volatile("tilezero %%tmm%c0" : : "i"(T)); }
// `stride`: bytes from row to row.
template <int T> BZ_TILE load_tile(const void *from, uint64_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(T) : "memory");
}
template <int T> BZ_TILE store_tile(void *to, uint64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(T) : "memory");
}
// SUM += A B: pairs of bfloat16 to float32; groups of four signed bytes, or signed by unsigned ones, to int32.
template <int SUM, int A, int B> BZ_TILE dot_bf16() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(SUM), "i"(A), "i"(B));
}
template <int SUM, int A, int B> BZ_TILE dot_ss() {
  asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(SUM), "i"(A), "i"(B));
}
template <int SUM, int A, int B> BZ_TILE dot_su() {
  asm volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(SUM), "i"(A), "i"(B));
}
#undef BZ_TILE

} // namespace
} // namespace bz
