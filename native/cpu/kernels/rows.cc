// Ops that move or add whole rows.
#include "../kernels.h"
#include "vec.h"

namespace bz::BZ_LEVEL {

void gather_rows(const bz_gather_rows_args &a, Team &team) {
  const Range rows = split(a.num_rows, team);
  for (uint64_t r = rows.begin; r < rows.end; r++) {
    const int32_t row = a.rows[r];
    if (row < 0 || static_cast<uint32_t>(row) >= a.num_source_rows) {
      team.fail(BZ_EINVAL, "gather_rows: rows[%llu] is %d, x has %u rows", static_cast<unsigned long long>(r), row,
                a.num_source_rows);
      continue;
    }
    std::memcpy(a.y + r * a.y_stride, a.x + static_cast<uint64_t>(row) * a.x_stride, uint64_t{a.c} * 4);
  }
}

void add(const bz_add_args &a, Team &team) {
  const Range rows = split(a.num_tokens, team);
  for (uint64_t t = rows.begin; t < rows.end; t++) {
    const float *x = a.x + t * a.x_stride;
    float *y = a.y + t * a.y_stride;
    uint64_t i = 0;
    for (; i + W <= a.c; i += W) store(y + i, fma(load(x + i), set(a.scale), load(y + i)));
    if (i < a.c) store_first(y + i, a.c - i, fma(load_first(x + i, a.c - i), set(a.scale), load_first(y + i, a.c - i)));
  }
}

void mem_copy(const bz_mem_copy_args &a, Team &team) {
  const Range bytes = split(a.bytes, team, 4096);
  if (bytes.begin < bytes.end)
    std::memcpy(static_cast<char *>(a.dst) + bytes.begin, static_cast<const char *>(a.src) + bytes.begin,
                bytes.end - bytes.begin);
}

} // namespace bz::BZ_LEVEL
