// The layout of every struct of baozi.h as this compiler sees it, for the test that compares it with the other side of
// the FFI.
#include <cstddef>
#include <string>

#include "ops.h"
#include "status.h"

extern "C" uint32_t bz_abi_layout(char *buf, uint32_t cap) {
  std::string text;
#define BZ_FIELD(name, field) \
  text += " " #field ":" + std::to_string(offsetof(name, field)) + ":" + std::to_string(sizeof(name::field));
#define BZ_STRUCT(name, fields)                     \
  text += #name " " + std::to_string(sizeof(name)); \
  fields                                            \
  text += "\n";
  BZ_STRUCTS(BZ_STRUCT, BZ_FIELD)
  return bz::copy_text(text.data(), text.size(), buf, cap);
}
