#include "status.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace bz {

static thread_local char last_error[512];

const char *last_words() { return last_error; }

bz_status fail(bz_status status, const char *format, ...) {
  va_list values;
  va_start(values, format);
  std::vsnprintf(last_error, sizeof last_error, format, values);
  va_end(values);
  return status;
}

uint32_t copy_text(const char *text, uint64_t length, char *buf, uint32_t cap) {
  if (buf != nullptr && cap > 0) {
    const uint64_t kept = length < cap ? length : cap - 1;
    std::memcpy(buf, text, kept);
    buf[kept] = 0;
  }
  return static_cast<uint32_t>(length + 1);
}

} // namespace bz

extern "C" uint32_t bz_last_error(char *buf, uint32_t cap) {
  return bz::copy_text(bz::last_error, std::strlen(bz::last_error), buf, cap);
}
