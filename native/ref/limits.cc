// The reference library is there to be right, and has no limits worth measuring.
#include "../common/status.h"

extern "C" bz_status bz_measure_read(bz_stream *, bz_measure_read_args *args) {
  BZ_CHECK_ARGS("measure_read", args);
  return bz::fail(BZ_ENOSYS, "measure_read: not in the reference library");
}

extern "C" bz_status bz_measure_products(bz_stream *, bz_measure_products_args *args) {
  BZ_CHECK_ARGS("measure_products", args);
  return bz::fail(BZ_ENOSYS, "measure_products: not in the reference library");
}
