# Builds xgrammar as a WebAssembly module: make -f native/grammar/build.mk (the top Makefile fetches what it needs
# first)
#
#   build/xgrammar/xgrammar.wasm   xgrammar and glue.cc, with C++ exceptions as WebAssembly's own (ADR 11)
#
# Zig is a clang with the sources of a C library and of LLVM's C++ runtime. The C++ runtime that it would build by
# itself
# has no exceptions, so the parts that xgrammar needs are built here with them, and `zig cc` links: `zig c++` would add
# the other runtime.

XG_ZIG ?= build/deps/ziglang
XG_SRC ?= build/deps/xgrammar
XG_BUILD ?= build/xgrammar
ZIG_LIB := $(XG_ZIG)/lib
# Caches of the compiler beside what it builds: nothing is written to the user's home.
XG_ENV := ZIG_GLOBAL_CACHE_DIR=$(XG_BUILD)/zig-cache ZIG_LOCAL_CACHE_DIR=$(XG_BUILD)/zig-cache
XG_CC := $(XG_ENV) $(XG_ZIG)/zig cc
XG_CXX := $(XG_ENV) $(XG_ZIG)/zig c++

# The macros of libc++ make <mutex> exist over WASI's one thread. The maps keep this directory out of the module.
XG_TARGET := -target wasm32-wasi -mcpu=generic+exception_handling -fwasm-exceptions -O2 -g0 -DNDEBUG \
  -U_LIBCPP_HAS_THREADS -D_LIBCPP_HAS_THREADS=1 -D_LIBCPP_HAS_THREAD_API_PTHREAD=1 -fno-sanitize=all \
  -ffile-prefix-map=$(XG_SRC)/= -ffile-prefix-map=$(XG_ZIG)/= -w
XG_FLAGS := $(XG_TARGET) -std=c++17 -DXGRAMMAR_LOG_CUSTOMIZE=1 -I$(XG_SRC) -I$(XG_SRC)/include -I$(XG_SRC)/cpp \
  -I$(XG_SRC)/3rdparty/picojson -I$(XG_SRC)/3rdparty/dlpack/include
XG_RUNTIME_FLAGS := $(XG_TARGET) -std=c++23 -fvisibility=hidden -D_LIBCPP_BUILDING_LIBRARY \
  -D_LIBCXXABI_BUILDING_LIBRARY -DLIBCXX_BUILDING_LIBCXXABI -DLIBCXXABI_NON_DEMANGLING_TERMINATE \
  -I$(ZIG_LIB)/libcxx/src -I$(ZIG_LIB)/libcxx/libc -I$(ZIG_LIB)/libcxx/src/include \
  -I$(ZIG_LIB)/libcxxabi/include -I$(ZIG_LIB)/libunwind/include

XG_LIBCXX := algorithm any call_once charconv chrono condition_variable condition_variable_destructor error_category \
  exception expected functional future hash ios ios.instantiations iostream locale memory memory_resource mutex \
  mutex_destructor new new_handler new_helpers optional ostream random random_shuffle regex ryu/d2fixed ryu/d2s \
  ryu/f2s shared_mutex stdexcept string strstream system_error thread typeinfo valarray variant vector verbose_abort
XG_LIBCXXABI := abort_message cxa_aux_runtime cxa_default_handlers cxa_exception cxa_exception_storage cxa_guard \
  cxa_handlers cxa_personality cxa_vector cxa_virtual fallback_malloc private_typeinfo stdlib_exception \
  stdlib_new_delete stdlib_stdexcept stdlib_typeinfo
# All but its binding to Python.
XG_SOURCES := $(filter-out $(XG_SRC)/cpp/tvm_ffi/%,$(shell find $(XG_SRC)/cpp -name '*.cc' 2>/dev/null | sort))

XG_OBJECTS := $(XG_SOURCES:$(XG_SRC)/%.cc=$(XG_BUILD)/o/%.o) $(XG_BUILD)/o/glue.o
XG_RUNTIME := $(XG_BUILD)/o/exception_tag.o $(XG_BUILD)/o/unwind.o $(XG_LIBCXX:%=$(XG_BUILD)/o/libcxx/%.o) \
  $(XG_LIBCXXABI:%=$(XG_BUILD)/o/libcxxabi/%.o)

$(XG_BUILD)/xgrammar.wasm: $(XG_OBJECTS) $(XG_BUILD)/o/runtime.a
	$(XG_CC) $(XG_TARGET) -mexec-model=reactor -s -Wl,--gc-sections -Wl,-z,stack-size=1048576 $^ -o $@.part
	@mv $@.part $@

$(XG_BUILD)/o/runtime.a: $(XG_RUNTIME)
	@rm -f $@
	$(XG_ENV) $(XG_ZIG)/zig ar rcs $@ $^

$(XG_BUILD)/o/glue.o: native/grammar/glue.cc native/grammar/build.mk
	@mkdir -p $(@D)
	$(XG_CXX) $(XG_FLAGS) -c $< -o $@

$(XG_BUILD)/o/cpp/%.o: $(XG_SRC)/cpp/%.cc native/grammar/build.mk
	@mkdir -p $(@D)
	$(XG_CXX) $(XG_FLAGS) -c $< -o $@

$(XG_BUILD)/o/libcxx/%.o: $(ZIG_LIB)/libcxx/src/%.cpp native/grammar/build.mk
	@mkdir -p $(@D)
	$(XG_CXX) $(XG_RUNTIME_FLAGS) -c $< -o $@

$(XG_BUILD)/o/libcxxabi/%.o: $(ZIG_LIB)/libcxxabi/src/%.cpp native/grammar/build.mk
	@mkdir -p $(@D)
	$(XG_CXX) $(XG_RUNTIME_FLAGS) -c $< -o $@

$(XG_BUILD)/o/unwind.o: $(ZIG_LIB)/libunwind/src/Unwind-wasm.c native/grammar/build.mk
	@mkdir -p $(@D)
	$(XG_CC) $(XG_TARGET) -I$(ZIG_LIB)/libunwind/include -D_LIBUNWIND_HIDE_SYMBOLS -c $< -o $@

$(XG_BUILD)/o/exception_tag.o: native/grammar/exception_tag.s native/grammar/build.mk
	@mkdir -p $(@D)
	$(XG_CC) $(XG_TARGET) -c $< -o $@
