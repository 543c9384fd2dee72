// The library's own entry points: what it is, and the score by which the engine chooses it.
#include "../common/check_ops.h"
#include "../common/cpus.h"
#include "isa.h"
#include "stream.h"

static std::string json_string(const std::string &text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  return out + "\"";
}

bool bz::takes_activation(uint32_t dtype) { return dtype == BZ_F32; }

extern "C" {

bz_status bz_library_traits(bz_traits_args *args) {
  BZ_CHECK_ARGS("library_traits", args);
  *args = {
      .args_bytes = sizeof *args,
      .out_activation_dtype = BZ_F32,
      .out_is_async = 0,
      .out_alignment = 64,
      .out_slice_tokens = 128, // what an op leaves stays in the second cache for the next one
      .out_logit_rows = 32,
      .out_max_graphs = 512,
      .out_capture_rows = 1,
      .out_kv_dtypes = 1u << BZ_F32 | 1u << BZ_BF16,
      .out_block_multiple = 16,
  };
  return BZ_OK;
}

int32_t bz_backend_score(void) { return 10 + static_cast<int32_t>(bz::best_isa()); }

uint32_t bz_backend_info(char *buf, uint32_t cap) {
  std::string features;
  for (const std::string &list = bz::usable_isas(); char c : list) {
    if (c == ',') features += "\",\"";
    else if (c != ' ') features += c;
  }
  const std::string text = "{\"name\":\"cpu\",\"device\":" + json_string(bz::cpu_model()) + ",\"isa\":\"" +
                           bz::isa_name(bz::best_isa()) + "\",\"features\":[\"" + features + "\"],\"cores\":" +
                           std::to_string(bz::usable_cpus()) +
                           ",\"memory_bytes\":" + std::to_string(bz::memory_bytes()) + "}";
  return bz::copy_text(text.data(), text.size(), buf, cap);
}

} // extern "C"
