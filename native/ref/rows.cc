// Ops that move, add or look at whole rows.
#include <cmath>

#include "matrix.h"
#include "op.h"

bz_status bz::run(const bz_gather_rows_args &a) {
  for (uint32_t r = 0; r < a.num_rows; r++) {
    const int32_t row = a.rows[r];
    const bool is_there = row >= 0 && static_cast<uint32_t>(row) < a.num_source_rows;
    if (a.row_status != nullptr) a.row_status[r] = is_there ? BZ_OK : BZ_EINVAL;
    else BZ_REQUIRE(is_there, BZ_EINVAL, "gather_rows: rows[%u] is %d, x has %u rows", r, row, a.num_source_rows);
    if (is_there) bz::write_row(a.y, r, bz::read_row(a.x, static_cast<uint64_t>(row)));
    else bz::clear_row(a.y, r);
  }
  return BZ_OK;
}

bz_status bz::run(const bz_add_args &a) {
  for (uint64_t t = 0; t < a.num_tokens; t++) {
    const std::vector<float> x = bz::read_row(a.x, t);
    std::vector<float> y = bz::read_row(a.y, t);
    for (uint32_t i = 0; i < a.y.cols; i++) y[i] += a.scale * x[i];
    bz::write_row(a.y, t, y);
  }
  return BZ_OK;
}

bz_status bz::run(const bz_softcap_args &a) {
  const double cap = a.cap;
  for (uint64_t t = 0; t < a.num_tokens; t++) {
    std::vector<float> values = bz::read_row(a.x, t);
    for (float &v : values) v = static_cast<float>(cap * std::tanh(v / cap));
    bz::write_row(a.y, t, values);
  }
  return BZ_OK;
}

bz_status bz::run(const bz_scatter_ids_args &a) {
  for (uint32_t i = 0; i < a.num_ids; i++) {
    const int64_t from = a.src_rows[i], to = a.dst_rows[i];
    if (from >= 0 && from < a.num_src && to >= 0 && to < a.num_dst) a.dst[to] = a.src[from];
  }
  return BZ_OK;
}

bz_status bz::run(const bz_check_finite_args &a) {
  for (uint32_t r = 0; r < a.num_rows; r++) {
    a.row_status[r] = BZ_OK;
    for (const float x : bz::read_row(a.x, r)) if (!std::isfinite(x)) a.row_status[r] = BZ_ENUMERIC;
  }
  return BZ_OK;
}
