#include "../common/check_ops.h"

// The oracle of libraries with any element type.
bool bz::takes_activation(uint32_t dtype) { return dtype == BZ_BF16 || dtype == BZ_F16; }

extern "C" {

int32_t bz_backend_score(void) { return 1; }

uint32_t bz_backend_info(char *buf, uint32_t cap) {
  static const char text[] = R"({"name":"ref","device":"host","isa":"scalar","features":[],"cores":1})";
  return bz::copy_text(text, sizeof text - 1, buf, cap);
}

bz_status bz_library_traits(bz_traits_args *args) {
  BZ_CHECK_ARGS("library_traits", args);
  *args = {
      .args_bytes = sizeof *args,
      .out_activation_dtype = BZ_F32,
      .out_is_async = 0,
      .out_alignment = 64,
      .out_slice_tokens = 0,
      .out_logit_rows = 32,
      .out_max_graphs = 16,
      .out_capture_rows = 1,
      .out_kv_dtypes = 1u << BZ_F32 | 1u << BZ_BF16,
      .out_block_multiple = 16,
  };
  return BZ_OK;
}

// The reference library is there to be right, and has no limits worth measuring.
bz_status bz_measure_read(bz_stream *, bz_measure_read_args *args) {
  BZ_CHECK_ARGS("measure_read", args);
  return bz::fail(BZ_ENOSYS, "measure_read: not in the reference library");
}

bz_status bz_measure_products(bz_stream *, bz_measure_products_args *args) {
  BZ_CHECK_ARGS("measure_products", args);
  return bz::fail(BZ_ENOSYS, "measure_products: not in the reference library");
}

} // extern "C"
