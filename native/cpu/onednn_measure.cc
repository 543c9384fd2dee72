// The rate of oneDNN's matrix product, for bz_measure_products: square matrices that fit the last cache, in the layouts
// that oneDNN likes best.
#include <dnnl.hpp>
#include <omp.h>

#include <chrono>

#include "onednn.h"

namespace bz {
namespace {

using dnnl::memory;
using Clock = std::chrono::steady_clock;

constexpr memory::dim SIZE = 1024;

memory filled(const memory::desc &desc, const dnnl::engine &engine) {
  memory made(desc, engine);
  auto *bytes = static_cast<uint8_t *>(made.get_data_handle());
  for (size_t i = 0; i < desc.get_size(); i++) bytes[i] = 1; // tiny values in any of the types
  return made;
}

void measure(bz_measure_products_args *args) {
  using type = memory::data_type;
  const type source = args->dtype == BZ_F32 ? type::f32 : args->dtype == BZ_BF16 ? type::bf16 : type::u8;
  const type weight = args->dtype == BZ_I8 ? type::s8 : source;
  const type result = args->dtype == BZ_I8 ? type::s32 : type::f32;
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  const memory::dims dims{SIZE, SIZE};
  const auto any = [&](type t) { return memory::desc(dims, t, memory::format_tag::any); };
  const dnnl::matmul::primitive_desc desc(engine, any(source), any(weight), any(result));
  const dnnl::matmul product(desc);
  memory x = filled(desc.src_desc(), engine), w = filled(desc.weights_desc(), engine);
  memory y(desc.dst_desc(), engine);
  dnnl::stream stream(engine);
  const auto once = [&] {
    product.execute(stream, {{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DST, y}});
    stream.wait();
  };
  once();
  uint64_t products = 0, nanoseconds = 0;
  const auto start = Clock::now();
  do {
    once();
    products += SIZE * SIZE * SIZE;
    nanoseconds = static_cast<uint64_t>(std::chrono::nanoseconds(Clock::now() - start).count());
  } while (nanoseconds < args->milliseconds * uint64_t{1000000});
  args->out_products = products;
  args->out_nanoseconds = nanoseconds;
}

} // namespace

bz_status onednn_measure(const bz_stream &stream, bz_measure_products_args *args) {
  omp_set_num_threads(static_cast<int>(stream.num_threads));
  try {
    measure(args);
    return BZ_OK;
  } catch (const dnnl::error &error) {
    const bool is_missing = error.status == dnnl_unimplemented;
    return fail(is_missing ? BZ_ENOSYS : BZ_EDEVICE, "measure_products: oneDNN: %s", error.what());
  } catch (const std::exception &error) {
    return fail(BZ_EDEVICE, "measure_products: oneDNN: %s", error.what());
  }
}

} // namespace bz
