// Ops that move, add or look at whole rows.
#include "../kernels.h"
#include "finite.h"

namespace bz::BZ_LEVEL {

void gather_rows(const GatherRowsArgs &a, Team &team) {
  const Range rows = split(a.num_rows, team);
  for (uint64_t r = rows.begin; r < rows.end; r++) {
    const int32_t row = a.rows[r];
    const bool is_there = static_cast<uint32_t>(row) < a.num_source_rows;
    if (a.row_status != nullptr) a.row_status[r] = is_there ? BZ_OK : BZ_EINVAL;
    else if (!is_there)
      team.fail(BZ_EINVAL, "gather_rows: rows[%llu] is %d, x has %u rows", static_cast<unsigned long long>(r), row,
                a.num_source_rows);
    if (is_there) std::memcpy(a.y + r * a.y_stride, a.x + static_cast<uint64_t>(row) * a.x_stride, uint64_t{a.c} * 4);
    else std::memset(a.y + r * a.y_stride, 0, uint64_t{a.c} * 4);
  }
}

void add(const AddArgs &a, Team &team) {
  const Range rows = split(a.num_tokens, team);
  for (uint64_t t = rows.begin; t < rows.end; t++) {
    const float *x = a.x + t * a.x_stride;
    float *y = a.y + t * a.y_stride;
    uint64_t i = 0;
    for (; i + W <= a.c; i += W) store(y + i, fma(load(x + i), set(a.scale), load(y + i)));
    if (i < a.c) store_first(y + i, a.c - i, fma(load_first(x + i, a.c - i), set(a.scale), load_first(y + i, a.c - i)));
  }
}

BZ_INLINE F capped(F x, float cap) { return cap * tanh(x / cap); }

void softcap(const SoftcapArgs &a, Team &team) {
  const Range rows = split(a.num_tokens, team);
  for (uint64_t t = rows.begin; t < rows.end; t++) {
    const float *x = a.x + t * a.x_stride;
    float *y = a.y + t * a.y_stride;
    uint64_t i = 0;
    for (; i + W <= a.c; i += W) store(y + i, capped(load(x + i), a.cap));
    if (i < a.c) store_first(y + i, a.c - i, capped(load_first(x + i, a.c - i), a.cap));
  }
}

// Few numbers: one thread takes them all.
void scatter_ids(const ScatterIdsArgs &a, Team &team) {
  if (team.tid != 0) return;
  for (uint32_t i = 0; i < a.num_ids; i++) {
    const auto from = static_cast<uint32_t>(a.src_rows[i]), to = static_cast<uint32_t>(a.dst_rows[i]);
    if (from < a.num_src && to < a.num_dst) a.dst[to] = a.src[from];
  }
}

void check_finite(const CheckFiniteArgs &a, Team &team) {
  const Range rows = split(a.num_rows, team);
  for (uint64_t r = rows.begin; r < rows.end; r++)
    a.row_status[r] = is_finite(a.x + r * a.x_stride, a.c) ? BZ_OK : BZ_ENUMERIC;
}

void copy(const CopyArgs &a, Team &team) {
  const Range bytes = split(a.bytes, team, 4096);
  if (bytes.begin < bytes.end)
    std::memcpy(static_cast<char *>(a.dst) + bytes.begin, static_cast<const char *>(a.src) + bytes.begin,
                bytes.end - bytes.begin);
}

} // namespace bz::BZ_LEVEL
