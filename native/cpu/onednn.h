// Products of many rows with bfloat16 weights on the tile unit, by oneDNN.
//
// Our packed bfloat16 layout is one that oneDNN names (BA16a16b2a), so it reads the weights in place. Activations are
// float32 and the unit takes bfloat16: each is split in two, x = high + low, which keeps 16 bits of the mantissa, and
// both are multiplied. A prompt is then as exact as the same tokens one by one, to about 1e-5 of the result.
//
// The other formats stay with our kernels. Measured on a Sapphire Rapids, 3072 x 576, one thread: float32 110 GFLOP/s
// with ours, 98 with oneDNN; int4 and int8 at 300 with the unit's int8 products, which keep every token's bits the same
// in any batch, as no detour through bfloat16 can.
#pragma once
#include "packed_weight.h"
#include "stream.h"

namespace bz {

// True when the product of these args is better done here.
bool onednn_takes(const bz_stream &stream, const bz_linear_args &args);

// Makes the primitives, and says how much scratch the call needs. Errors BZ_EDEVICE with oneDNN's words.
bz_status onednn_prepare(const bz_stream &stream, const bz_linear_args &args, uint64_t *out_scratch_bytes);

// bz_measure_products with oneDNN's matrix product. Errors BZ_ENOSYS where it has none for the type.
bz_status onednn_measure(const bz_stream &stream, bz_measure_products_args *args);

// A serial op: it opens its own parallel regions.
void onednn_linear(const bz_linear_args &args, Team &team);

} // namespace bz
