// The library's own entry points, and those that have nothing to wait for.
#include <string>
#include <vector>

#include "../common/check_ops.h"
#include "cpu.h"
#include "stream.h"

using bz::cpu;
using bz::relay;

bool bz::takes_activation(uint32_t dtype) { return dtype == BZ_F32; }

extern "C" {

int32_t bz_backend_score(void) { return 1; }

uint32_t bz_backend_info(char *buf, uint32_t cap) {
  std::vector<char> info(cpu().backend_info(nullptr, 0));
  cpu().backend_info(info.data(), static_cast<uint32_t>(info.size()));
  std::string text = info.data();
  const std::string name = "\"name\":\"cpu\"";
  if (const size_t at = text.find(name); at != std::string::npos) text.replace(at, name.size(), "\"name\":\"async\"");
  return bz::copy_text(text.data(), text.size(), buf, cap);
}

bz_status bz_library_traits(bz_traits_args *args) {
  BZ_TRY(relay(cpu().library_traits(args)));
  args->out_is_async = 1;
  args->out_alignment = 256;
  args->out_slice_tokens = 0;
  args->out_logit_rows = 32;
  args->out_max_graphs = 16;
  args->out_capture_rows = 8;
  return BZ_OK;
}

bz_status bz_kv_cache_bytes(bz_kv_cache_args *args) { return relay(cpu().kv_cache_bytes(args)); }
bz_status bz_latent_cache_bytes(bz_latent_cache_args *args) { return relay(cpu().latent_cache_bytes(args)); }

bz_status bz_weight_create(bz_stream *stream, const bz_weight_args *args, bz_weight **out) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "weight_create: stream is NULL");
  return relay(cpu().weight_create(stream->cpu, args, out));
}

bz_status bz_weight_plan(bz_stream *stream, const bz_weight_args *args, bz_weight **out) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "weight_plan: stream is NULL");
  return relay(cpu().weight_plan(stream->cpu, args, out));
}

void bz_weight_destroy(bz_weight *weight) { cpu().weight_destroy(weight); }

bz_status bz_weight_info(const bz_weight *weight, bz_weight_info_args *args) {
  return relay(cpu().weight_info(weight, args));
}

bz_status bz_measure_read(bz_stream *stream, bz_measure_read_args *args) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "measure_read: stream is NULL");
  return relay(cpu().measure_read(stream->cpu, args));
}

bz_status bz_measure_products(bz_stream *stream, bz_measure_products_args *args) {
  BZ_REQUIRE(stream != nullptr, BZ_EINVAL, "measure_products: stream is NULL");
  return relay(cpu().measure_products(stream->cpu, args));
}

} // extern "C"
