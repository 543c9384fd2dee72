// Status codes with words: every failing path of the library goes through fail().
#pragma once
#include "../include/baozi.h"

namespace bz {

// Keeps the words for bz_last_error on this thread and returns the status: `return fail(BZ_EINVAL, "c is %u", c)`.
[[gnu::format(printf, 2, 3)]] bz_status fail(bz_status status, const char *format, ...);

// What bz_last_error tells on this thread.
const char *last_words();

// Copies `text` out the way bz_backend_info and its kin return text.
uint32_t copy_text(const char *text, uint64_t length, char *buf, uint32_t cap);

} // namespace bz

// Returns from the calling function with a status and words unless the condition holds.
#define BZ_REQUIRE(condition, status, ...)                  \
  do {                                                      \
    if (!(condition)) return ::bz::fail(status, __VA_ARGS__); \
  } while (0)

// Passes an inner failure on.
#define BZ_TRY(call)                                          \
  do {                                                        \
    if (bz_status status_ = (call); status_ != BZ_OK) return status_; \
  } while (0)

// The first lines of every op: args are there and have the size that this library was built with.
#define BZ_CHECK_ARGS(op, args)                                                                             \
  do {                                                                                                      \
    BZ_REQUIRE((args) != nullptr, BZ_EINVAL, "%s: args is NULL", op);                                       \
    BZ_REQUIRE((args)->args_bytes == sizeof *(args), BZ_EABI, "%s: args_bytes is %u, this library has %zu", \
               op, (args)->args_bytes, sizeof *(args));                                                     \
  } while (0)
