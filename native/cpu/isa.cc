#include "isa.h"

#include <cstring>

#include "../common/status.h"
#include "kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace bz {

#if defined(__x86_64__)
namespace scalar { extern const Kernels kernels; }
namespace avx2 { extern const Kernels kernels; }
namespace avx512 { extern const Kernels kernels; }
namespace avx512_vnni { extern const Kernels kernels; }
namespace amx { extern const Kernels kernels; }

// Tile data registers are off until the process asks for them (Linux: arch_prctl, ARCH_REQ_XCOMP_PERM).
static bool amx_usable() {
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  const unsigned need = (1u << 22) | (1u << 24) | (1u << 25); // AMX-BF16, AMX-TILE, AMX-INT8
  if ((d & need) != need) return false;
  constexpr long REQUEST_PERMISSION = 0x1023, TILE_DATA = 18;
  return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

static bool detect(Isa isa) {
  __builtin_cpu_init();
  switch (isa) {
    case Isa::scalar: return true;
    case Isa::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    case Isa::avx512:
      return detect(Isa::avx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    case Isa::avx512_vnni:
      return detect(Isa::avx512) && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
    case Isa::amx: return detect(Isa::avx512_vnni) && amx_usable();
    default: return false;
  }
}

const Kernels *kernels_of(Isa isa) {
  switch (isa) {
    case Isa::avx2: return &avx2::kernels;
    case Isa::avx512: return &avx512::kernels;
    case Isa::avx512_vnni: return &avx512_vnni::kernels;
    case Isa::amx: return &amx::kernels;
    default: return &scalar::kernels;
  }
}
#else
namespace scalar { extern const Kernels kernels; }
#if defined(__aarch64__)
namespace neon { extern const Kernels kernels; }
#endif

static bool detect(Isa isa) {
#if defined(__aarch64__)
  constexpr unsigned long DOT_PRODUCT = 1ul << 20; // HWCAP_ASIMDDP
  if (isa == Isa::neon) return (getauxval(AT_HWCAP) & DOT_PRODUCT) != 0;
#endif
  return isa == Isa::scalar;
}

const Kernels *kernels_of([[maybe_unused]] Isa isa) {
#if defined(__aarch64__)
  if (isa == Isa::neon) return &neon::kernels;
#endif
  return &scalar::kernels;
}
#endif

static constexpr Isa ALL[] = {Isa::scalar, Isa::neon, Isa::avx2, Isa::avx512, Isa::avx512_vnni, Isa::amx};

const char *isa_name(Isa isa) {
  static constexpr const char *NAMES[] = {"scalar", "neon", "avx2", "avx512", "avx512_vnni", "amx"};
  return NAMES[static_cast<int>(isa)];
}

bool isa_usable(Isa isa) {
  static const unsigned usable = [] {
    unsigned bits = 0;
    for (Isa each : ALL) bits |= static_cast<unsigned>(detect(each)) << static_cast<int>(each);
    return bits;
  }();
  return (usable >> static_cast<int>(isa)) & 1;
}

Isa best_isa() {
  Isa best = Isa::scalar;
  for (Isa isa : ALL) if (isa_usable(isa)) best = isa;
  return best;
}

std::string usable_isas() {
  std::string list;
  for (Isa isa : ALL) {
    if (!isa_usable(isa)) continue;
    if (!list.empty()) list += ", ";
    list += isa_name(isa);
  }
  return list;
}

bz_status choose_isa(const char *name, Isa *out) {
  if (name == nullptr) {
    *out = best_isa();
    return BZ_OK;
  }
  for (Isa isa : ALL) {
    if (std::strcmp(name, isa_name(isa)) != 0) continue;
    BZ_REQUIRE(isa_usable(isa), BZ_EINVAL, "this processor lacks isa \"%s\"; it has: %s", name, usable_isas().c_str());
    *out = isa;
    return BZ_OK;
  }
  return fail(BZ_EINVAL, "unknown isa \"%.32s\"; this processor has: %s", name, usable_isas().c_str());
}

} // namespace bz
