#include "onednn.h"

#include <dnnl.hpp>
#include <omp.h>

#include <list>
#include <mutex>
#include <unordered_map>

#include "../common/dtype.h"

namespace bz {
namespace {

using dnnl::memory;

// Below, our own kernel is as fast and spares oneDNN's start. Measured.
constexpr uint32_t MIN_TOKENS = 32;
// Primitives kept: a model has about 5 shapes, a server meets some tens of prompt lengths.
constexpr size_t MAX_PRIMITIVES = 256;

struct Shape {
  uint32_t tokens, n, c;
  int threads; // a primitive opens regions of the size it was made for
  uint64_t y_stride;
  bool has_bias, accumulate;

  bool operator==(const Shape &) const = default;
};

struct Product {
  Shape shape;
  dnnl::matmul::primitive_desc desc;
  dnnl::matmul primitive;
};

const dnnl::engine &engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

dnnl::matmul::primitive_desc describe(const Shape &s) {
  const memory::dim t = s.tokens, n = s.n, c = s.c;
  const memory::desc x({t, c}, memory::data_type::bf16, memory::format_tag::ab);
  const memory::desc w({c, n}, memory::data_type::bf16, memory::format_tag::BA16a16b2a);
  const memory::desc y({t, n}, memory::data_type::f32, memory::dims{static_cast<memory::dim>(s.y_stride), 1});
  memory::desc bias;
  if (s.has_bias) bias = memory::desc({1, n}, memory::data_type::f32, memory::format_tag::ab);
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (s.accumulate) {
    dnnl::post_ops ops;
    ops.append_sum();
    attr.set_post_ops(ops);
  }
  return {engine(), x, w, bias, y, attr};
}

// The most recently used first. Streams of several threads share it.
Product product_of(const Shape &shape) {
  static std::mutex mutex;
  static std::list<Product> products;
  const std::lock_guard lock(mutex);
  for (auto it = products.begin(); it != products.end(); ++it) {
    if (!(it->shape == shape)) continue;
    products.splice(products.begin(), products, it);
    return products.front();
  }
  const dnnl::matmul::primitive_desc desc = describe(shape);
  products.push_front({shape, desc, dnnl::matmul(desc)});
  if (products.size() > MAX_PRIMITIVES) products.pop_back();
  return products.front();
}

Shape shape_of(const bz_linear_args &a, const Segment &s, bool is_high) {
  return {a.num_tokens, s.num_rows, a.weight->c, omp_get_max_threads(), a.y_stride, is_high && a.bias != nullptr,
          !is_high || (a.flags & BZ_LINEAR_ACCUMULATE) != 0};
}

// Bytes of one half of the activations.
uint64_t half_bytes(const bz_linear_args &a) { return (uint64_t{a.num_tokens} * a.weight->c * 2 + 63) / 64 * 64; }

void split_activations(const bz_linear_args &a, uint16_t *high, uint16_t *low) {
  const uint32_t c = a.weight->c;
#pragma omp parallel for schedule(static)
  for (uint32_t t = 0; t < a.num_tokens; t++) {
    const float *x = a.x + t * a.x_stride;
    for (uint64_t i = 0, at = uint64_t{t} * c; i < c; i++, at++) {
      high[at] = f32_to_bf16(x[i]);
      const float rest = x[i] - bf16_to_f32(high[at]);
      low[at] = f32_to_bf16(rest == rest ? rest : 0.0f); // of an infinity the high half says it all
    }
  }
}

void multiply(const bz_linear_args &a, const Segment &s, uint16_t *x, bool is_high, std::byte *scratchpad) {
  const Product product = product_of(shape_of(a, s, is_high));
  dnnl::stream stream(engine());
  const auto at = [](const memory::desc &desc, const void *p) { return memory(desc, engine(), const_cast<void *>(p)); };
  std::unordered_map<int, memory> args = {
      {DNNL_ARG_SRC, at(product.desc.src_desc(), x)},
      {DNNL_ARG_WEIGHTS, at(product.desc.weights_desc(), s.values)},
      {DNNL_ARG_DST, at(product.desc.dst_desc(), a.y + s.first_row)},
      {DNNL_ARG_SCRATCHPAD, at(product.desc.scratchpad_desc(), scratchpad)},
  };
  if (is_high && a.bias != nullptr) args.insert({DNNL_ARG_BIAS, at(product.desc.bias_desc(), a.bias + s.first_row)});
  product.primitive.execute(stream, args);
  stream.wait();
}

} // namespace

bool onednn_takes(const bz_stream &stream, const bz_linear_args &args) {
  if (stream.isa != Isa::amx || args.num_tokens < MIN_TOKENS) return false;
  for (uint32_t i = 0; i < args.weight->num_segments; i++)
    if (args.weight->segments[i].format.storage != Storage::bf16) return false;
  return true;
}

bz_status onednn_prepare(const bz_stream &stream, const bz_linear_args &args, uint64_t *out_scratch_bytes) {
  omp_set_num_threads(static_cast<int>(stream.num_threads)); // as when the op runs
  uint64_t scratchpad = 0;
  try {
    for (uint32_t i = 0; i < args.weight->num_segments; i++)
      for (bool is_high : {true, false}) {
        const Product product = product_of(shape_of(args, args.weight->segments[i], is_high));
        const uint64_t bytes = product.desc.scratchpad_desc().get_size();
        if (bytes > scratchpad) scratchpad = bytes;
      }
  } catch (const std::exception &error) {
    return fail(BZ_EDEVICE, "linear: oneDNN: %s", error.what());
  }
  *out_scratch_bytes = 2 * half_bytes(args) + scratchpad;
  return BZ_OK;
}

void onednn_linear(const bz_linear_args &args, Team &team) {
  auto *high = reinterpret_cast<uint16_t *>(team.scratch());
  auto *low = reinterpret_cast<uint16_t *>(team.scratch() + half_bytes(args));
  split_activations(args, high, low);
  try {
    for (uint32_t i = 0; i < args.weight->num_segments; i++) {
      const Segment &s = args.weight->segments[i];
      std::byte *scratchpad = team.scratch() + 2 * half_bytes(args);
      multiply(args, s, high, true, scratchpad);
      multiply(args, s, low, false, scratchpad);
    }
  } catch (const std::exception &error) {
    team.fail(BZ_EDEVICE, "linear: oneDNN: %s", error.what());
  }
}

} // namespace bz
