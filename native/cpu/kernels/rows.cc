// Ops that move, add or look at whole rows.
#include "../kernels.h"
#include "finite.h"

namespace bz::BZ_LEVEL {

void gather_rows(const bz_gather_rows_args &a, Team &team) {
  const Range rows = split(a.num_rows, team);
  for (uint64_t r = rows.begin; r < rows.end; r++) {
    const int32_t source = a.rows[r];
    const bool is_there = static_cast<uint32_t>(source) < a.num_source_rows;
    if (a.row_status != nullptr) a.row_status[r] = is_there ? BZ_OK : BZ_EINVAL;
    else if (!is_there)
      team.fail(BZ_EINVAL, "gather_rows: rows[%llu] is %d, x has %u rows", static_cast<unsigned long long>(r), source,
                a.num_source_rows);
    if (is_there) std::memcpy(row_of(a.y, r), row_of(a.x, static_cast<uint64_t>(source)), uint64_t{a.y.cols} * 4);
    else std::memset(row_of(a.y, r), 0, uint64_t{a.y.cols} * 4);
  }
}

void add(const bz_add_args &a, Team &team) {
  const Range rows = split(a.num_tokens, team);
  const uint64_t c = a.y.cols;
  for (uint64_t t = rows.begin; t < rows.end; t++) {
    const float *x = row_of(a.x, t);
    float *y = row_of(a.y, t);
    uint64_t i = 0;
    for (; i + W <= c; i += W) store(y + i, fma(load(x + i), set(a.scale), load(y + i)));
    if (i < c) store_first(y + i, c - i, fma(load_first(x + i, c - i), set(a.scale), load_first(y + i, c - i)));
  }
}

BZ_INLINE F capped(F x, float cap) { return cap * tanh(x / cap); }

void softcap(const bz_softcap_args &a, Team &team) {
  const Range rows = split(a.num_tokens, team);
  const uint64_t c = a.y.cols;
  for (uint64_t t = rows.begin; t < rows.end; t++) {
    const float *x = row_of(a.x, t);
    float *y = row_of(a.y, t);
    uint64_t i = 0;
    for (; i + W <= c; i += W) store(y + i, capped(load(x + i), a.cap));
    if (i < c) store_first(y + i, c - i, capped(load_first(x + i, c - i), a.cap));
  }
}

// Few numbers: one thread takes them all.
void scatter_ids(const bz_scatter_ids_args &a, Team &team) {
  if (team.tid != 0) return;
  for (uint32_t i = 0; i < a.num_ids; i++) {
    const auto from = static_cast<uint32_t>(a.src_rows[i]), to = static_cast<uint32_t>(a.dst_rows[i]);
    if (from < a.num_src && to < a.num_dst) a.dst[to] = a.src[from];
  }
}

void check_finite(const bz_check_finite_args &a, Team &team) {
  const Range rows = split(a.num_rows, team);
  for (uint64_t r = rows.begin; r < rows.end; r++)
    a.row_status[r] = is_finite(row_of(a.x, r), a.x.cols) ? BZ_OK : BZ_ENUMERIC;
}

void copy(const bz_copy_args &a, Team &team) {
  const Range bytes = split(a.bytes, team, 4096);
  if (bytes.begin < bytes.end)
    std::memcpy(static_cast<char *>(a.dst) + bytes.begin, static_cast<const char *>(a.src) + bytes.begin,
                bytes.end - bytes.begin);
}

} // namespace bz::BZ_LEVEL
