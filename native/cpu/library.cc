// The library's own entry points: what it is, and the score by which the engine chooses it.
#include "../common/cpus.h"
#include "../common/status.h"
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

extern "C" {

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
