// oneDNN's matrix product, to hold our own against. Products themselves are ours: docs/adr/0010.
#pragma once
#include "stream.h"

namespace bz {

// bz_measure_products with oneDNN. Errors BZ_ENOSYS where it has no product for the type.
bz_status onednn_measure(const bz_stream &stream, bz_measure_products_args *args);

} // namespace bz
