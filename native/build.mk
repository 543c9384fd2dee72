# Builds the kernel libraries that run on the host. Included by the top Makefile, or alone: make -f native/build.mk
#
#   build/lib/libbaozi_ref.so   every op, scalar and obvious: the oracle of the others
#   build/lib/libbaozi_cpu.so   the CPU backend; files in native/cpu/kernels are compiled once an instruction set
#   build/lib/libbaozi_null.so  no arithmetic at all: what is left of an engine's cost without it
#   build/lib/libbaozi_async.so the CPU backend, beside which it must lie, as a device that runs everything late: for
#   tests

CXX ?= g++
DNNL_ROOT ?= build/deps/onednn
NATIVE_BUILD := build/native
NATIVE_LIB := build/lib
NATIVE_ARCH := $(firstword $(subst -, ,$(shell $(CXX) -dumpmachine)))

# SANITIZE=address,undefined builds libraries that end the process at the first access outside of an object, overflow or
# misuse. To be given with NATIVE_BUILD and NATIVE_LIB of their own; their process needs the sanitizer's library first.
SANITIZE ?=
SANITIZE_FLAGS := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer)

NATIVE_CXXFLAGS := -std=c++20 $(if $(SANITIZE),-O1,-O3) -g1 -fPIC -fvisibility=hidden -Wall -Wextra -Wno-psabi \
  -MMD -MP -I$(NATIVE_BUILD)/include $(SANITIZE_FLAGS)
CPU_CXXFLAGS := $(NATIVE_CXXFLAGS) -fopenmp -I$(DNNL_ROOT)/include
REF_CXXFLAGS := $(NATIVE_CXXFLAGS) -ffp-contract=off
# Kernels state their order of operations themselves, except that a * b + c may be one instruction.
KERNEL_CXXFLAGS := $(CPU_CXXFLAGS) -ffp-contract=fast -fno-math-errno -fno-trapping-math -fno-exceptions -fno-rtti \
  -Wno-uninitialized -Wno-maybe-uninitialized # g++ 12 warns of its own intrinsics

ifeq ($(NATIVE_ARCH),x86_64)
LEVELS := scalar avx2 avx512 avx512_vnni amx
FLAGS_scalar := -march=x86-64
FLAGS_avx2 := -march=x86-64 -mavx2 -mfma -mf16c
FLAGS_avx512 := $(FLAGS_avx2) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512
FLAGS_avx512_vnni := $(FLAGS_avx512) -mavx512vnni -mavx512bf16
FLAGS_amx := $(FLAGS_avx512_vnni) -mamx-tile -mamx-int8 -mamx-bf16
else ifeq ($(NATIVE_ARCH),aarch64)
LEVELS := scalar neon
FLAGS_scalar := -march=armv8-a
FLAGS_neon := -march=armv8.2-a+dotprod
else
LEVELS := scalar
endif

COMMON_SRC := $(wildcard native/common/*.cc)
REF_SRC := $(wildcard native/ref/*.cc)
NULL_SRC := $(wildcard native/null/*.cc) native/ref/stream.cc
ASYNC_SRC := $(wildcard native/async/*.cc)
CPU_SRC := $(wildcard native/cpu/*.cc)
KERNEL_SRC := $(wildcard native/cpu/kernels/*.cc)

REF_OBJ := $(patsubst native/%.cc,$(NATIVE_BUILD)/ref/%.o,$(COMMON_SRC) $(REF_SRC))
NULL_OBJ := $(patsubst native/%.cc,$(NATIVE_BUILD)/ref/%.o,$(COMMON_SRC) $(NULL_SRC))
ASYNC_OBJ := $(patsubst native/%.cc,$(NATIVE_BUILD)/ref/%.o,$(filter-out %/host_memory.cc,$(COMMON_SRC)) $(ASYNC_SRC))
CPU_OBJ := $(patsubst native/%.cc,$(NATIVE_BUILD)/cpu/%.o,$(COMMON_SRC) $(CPU_SRC))
KERNEL_OBJ := $(foreach level,$(LEVELS),$(patsubst native/cpu/kernels/%.cc,$(NATIVE_BUILD)/$(level)/%.o,$(KERNEL_SRC)))

.PHONY: native native-clean
native: $(foreach name,ref null cpu async,$(NATIVE_LIB)/libbaozi_$(name).so)

# Before the first compilation; after it, files that include ops.h depend on it (the .d files).
$(NATIVE_BUILD)/include/ops.h: native/include/baozi.h native/ops.awk
	@mkdir -p $(@D)
	awk -f native/ops.awk $< > $@
$(REF_OBJ) $(NULL_OBJ) $(ASYNC_OBJ) $(CPU_OBJ) $(KERNEL_OBJ): | $(NATIVE_BUILD)/include/ops.h

native-clean:
	rm -rf $(NATIVE_BUILD) $(NATIVE_LIB)

$(NATIVE_LIB)/libbaozi_ref.so: $(REF_OBJ)
	@mkdir -p $(@D)
	$(CXX) -shared $(SANITIZE_FLAGS) -Wl,--no-undefined -o $@ $^

$(NATIVE_LIB)/libbaozi_null.so: $(NULL_OBJ)
	@mkdir -p $(@D)
	$(CXX) -shared $(SANITIZE_FLAGS) -Wl,--no-undefined -o $@ $^

$(NATIVE_LIB)/libbaozi_async.so: $(ASYNC_OBJ)
	@mkdir -p $(@D)
	$(CXX) -shared $(SANITIZE_FLAGS) -Wl,--no-undefined -o $@ $^ -ldl

$(NATIVE_LIB)/libbaozi_cpu.so: $(CPU_OBJ) $(KERNEL_OBJ)
	@mkdir -p $(@D)
	$(CXX) -shared $(SANITIZE_FLAGS) -fopenmp -Wl,--no-undefined \
	  -Wl,-rpath,'$$ORIGIN:$$ORIGIN/../deps/onednn/lib' -o $@ $^ -L$(DNNL_ROOT)/lib -ldnnl

$(NATIVE_BUILD)/ref/%.o: native/%.cc native/build.mk
	@mkdir -p $(@D)
	$(CXX) $(REF_CXXFLAGS) -c -o $@ $<

$(NATIVE_BUILD)/cpu/%.o: native/%.cc native/build.mk
	@mkdir -p $(@D)
	$(CXX) $(CPU_CXXFLAGS) -c -o $@ $<

# Every library quantizes to the same levels: no sum may be fused in one of them.
$(NATIVE_BUILD)/cpu/common/%.o: CPU_CXXFLAGS += -ffp-contract=off

# The arithmetic of sampling is fixed to the bit (native/common/sampling.h).
$(foreach level,$(LEVELS),$(NATIVE_BUILD)/$(level)/sample.o): KERNEL_CXXFLAGS += -ffp-contract=off

# A function emitted out of line under a shared name (nm calls it weak) could be chosen by the linker for all levels,
# with instructions that only one of them may use: it must not exist.
define KERNEL_RULE
$(NATIVE_BUILD)/$(1)/%.o: native/cpu/kernels/%.cc native/build.mk
	@mkdir -p $$(@D)
	$$(CXX) $$(KERNEL_CXXFLAGS) $$(FLAGS_$(1)) -DBZ_LEVEL=$(1) -DBZ_LEVEL_$(1)=1 -c -o $$@ $$<
	@! nm -C --defined-only $$@ | grep ' [VWu] ' | grep -v 'bz::$(1)::\|DW.ref' || \
	  (echo "$$@: code shared between instruction sets (above)"; rm -f $$@; false)
endef
$(foreach level,$(LEVELS),$(eval $(call KERNEL_RULE,$(level))))

-include $(REF_OBJ:.o=.d) $(NULL_OBJ:.o=.d) $(ASYNC_OBJ:.o=.d) $(CPU_OBJ:.o=.d) $(KERNEL_OBJ:.o=.d)
