# Two commands do everything: `make demo` and `make test`. Each installs first what it needs, and nothing when that is there.
BUILD ?= build
ENGINE ?= $(CURDIR)/$(BUILD)/engine
DEVICES ?= $(CURDIR)/$(BUILD)/devices
JOBS ?= $(shell nproc)
RELEASE = $(BUILD)/release

# $(call configure,OPTIONS): the one build folder, with the options it had and these. In a new folder many files are compiled as one, which takes
# half the time; UNITY=OFF, better for somebody who changes one file after the other, and UNITY=ON change that.
new = $(if $(wildcard $(RELEASE)/CMakeCache.txt),,yes)
unity = $(if $(UNITY)$(new),-DCMAKE_UNITY_BUILD=$(or $(UNITY),ON))
configure = cmake -S . -B $(RELEASE) -G Ninja -DCMAKE_BUILD_TYPE=Release -DHEADRACE_ENGINE="$(ENGINE)" $(unity) $(1) >$(BUILD)/configure.log 2>&1 \
  || { cat $(BUILD)/configure.log >&2; exit 1; }
# A new folder gets no tests until somebody wants them; one that has them keeps them.
without_tests = $(if $(new),-DHEADRACE_TESTS=OFF -DHEADRACE_BENCH=OFF)

.PHONY: all everything demo test test-slow sanitize sanitize-address sanitize-thread tidy fuzz soak bench bench-mixture bench-device expect install uninstall deb arm64 deb-arm64 test-arm64 clean
# The library and the command.
all:
	@scripts/install-packages.sh build
	@scripts/install-engine.sh "$(ENGINE)"
	@$(call configure,$(without_tests))
	cmake --build $(RELEASE) -j $(JOBS) --target headrace headrace_command

# Those, and all tests and benchmark programs.
everything:
	@scripts/install-packages.sh build test
	@scripts/install-engine.sh "$(ENGINE)" --tests
	@scripts/install-devices.sh "$(DEVICES)" "$(ENGINE)" || echo "devices: not installed, their tests will be skipped" >&2
	@scripts/install-node-packages.sh "$(BUILD)/node"
	@$(call configure,-DHEADRACE_TESTS=ON -DHEADRACE_BENCH=ON -DHEADRACE_DEVICES="$(DEVICES)")
	cmake --build $(RELEASE) -j $(JOBS)

# Streams the bundled model with less memory than its weights need, and compares with an unstreamed run.
demo: all
	@scripts/demo.sh $(RELEASE) "$(ENGINE)"

# $(call run_tests,OPTIONS): what was skipped is told at the end; with ALLOWED_SKIPS=FILE another reason than those in it is a failure.
run_tests = @rm -f $(RELEASE)/tests.xml; \
  ctest --test-dir $(RELEASE) --output-on-failure --output-junit tests.xml --test-output-size-passed 8192 $(1); status=$$?; \
  scripts/check-skips.py $(RELEASE)/tests.xml $(ALLOWED_SKIPS) && exit $$status

test: everything
	$(call run_tests,-j $(JOBS) -LE slow)

test-slow: everything
	@scripts/install-packages.sh slow
	$(call run_tests,-L slow)

# Tests of the preloaded library and of what it is made of with sanitizers, each kind in a build folder of its own.
SANITIZE_MODULES ?= base telemetry gguf memory io plan kv stream rows experts exec hook
sanitize: sanitize-address sanitize-thread
sanitize-address: sanitizers = address,undefined
sanitize-thread: sanitizers = thread
sanitize-address sanitize-thread: everything
	@scripts/sanitize.sh $(sanitizers) $(BUILD)/$@ "$(ENGINE)" $(JOBS) $(RELEASE) $(SANITIZE_MODULES)

# clang-tidy's checks that find faults, over src/.
tidy:
	@scripts/install-packages.sh build tidy
	@scripts/install-engine.sh "$(ENGINE)"
	@scripts/check-tidy.sh $(BUILD)/tidy "$(ENGINE)" $(JOBS)

# Every fuzz target for its share of the time, two at a time.
FUZZ_SECONDS ?= 600
fuzz:
	@scripts/install-packages.sh build fuzz
	@scripts/install-engine.sh "$(ENGINE)"
	@scripts/fuzz.sh $(BUILD)/fuzz "$(ENGINE)" $(FUZZ_SECONDS)

# `headrace serve` under eight clients, limits that move and children that are killed.
SOAK_MINUTES ?= 60
soak: all
	@scripts/install-packages.sh test
	@bench/soak.py $(RELEASE) "$(ENGINE)" $(SOAK_MINUTES)

# Generates models of 4 and 5 GB and measures: about two and a half hours, 22 GB of disk, root for the memory group.
bench: everything
	bench/run.sh $(RELEASE) "$(ENGINE)"

# A mixture of experts: decode by memory, prompts, requests at a time, drafts. About 40 minutes, 6 GB of disk.
bench-mixture: everything
	bench/run.sh $(RELEASE) "$(ENGINE)" --only experts --only concurrency --only speculation --preset moe-5g --repetitions 2 --results bench/results/mixture --docs docs/mixture-benchmarks.md

# Models of 20 GiB with a graphics card that the engine shows.
bench-device: everything
	bench/run.sh $(RELEASE) "$(ENGINE)" --only device --results bench/results/device --docs docs/device-benchmarks.md

# docs/what-to-expect.md: what `headrace plan` predicts for published models. A minute; nothing is loaded, files of holes.
expect: all
	@$(call configure,-DHEADRACE_BENCH=ON)
	cmake --build $(RELEASE) -j $(JOBS) --target headrace-make-model headrace-make-trace headrace-replay
	bench/expect.py $(RELEASE) "$(ENGINE)"

# The command, its library, manual pages, completions and headers.
PREFIX ?= /usr/local
PAPERS = cmake --build $(RELEASE) -j $(JOBS) --target headrace_papers
install: all
	$(PAPERS)
	cmake --install $(RELEASE) --prefix "$(PREFIX)" >$(BUILD)/install.log || { cat $(BUILD)/install.log >&2; exit 1; }

uninstall:
	@scripts/uninstall.sh "$(DESTDIR)$(PREFIX)"

# build/headrace_VERSION_ARCHITECTURE.deb, and headrace-dev for programs that link the library.
deb: all
	@scripts/install-packages.sh package
	$(PAPERS)
	cpack --config $(RELEASE)/CPackConfig.cmake -B $(BUILD)/packages >$(BUILD)/package.log 2>&1 || { cat $(BUILD)/package.log >&2; exit 1; }
	@mv $(BUILD)/packages/*.deb $(BUILD)/ && ls $(BUILD)/*.deb

# For arm64, with Debian's cross compiler: libraries and llama.cpp of that architecture lie in folders of their own.
ARM64 = $(BUILD)/arm64
ARM64_ENGINE = $(CURDIR)/$(BUILD)/arm64-engine
ARM64_SYSROOT = $(CURDIR)/$(BUILD)/arm64-sysroot
empty =
space = $(empty) $(empty)
# The unit tests of what is preloaded, as for the sanitizers: the rest knows no processor.
arm64_tests = $(if $(filter test-arm64,$(MAKECMDGOALS)),-DHEADRACE_TESTS=ON,$(if $(wildcard $(ARM64)/CMakeCache.txt),,-DHEADRACE_TESTS=OFF))
arm64:
	@scripts/install-packages.sh build arm64
	@scripts/install-sysroot.sh "$(ARM64_SYSROOT)" arm64
	@scripts/install-engine.sh "$(ARM64_ENGINE)" --architecture=arm64
	@cmake -S . -B $(ARM64) -G Ninja -DCMAKE_TOOLCHAIN_FILE="$(CURDIR)/cmake/arm64.cmake" -DHEADRACE_SYSROOT="$(ARM64_SYSROOT)" \
	  -DCMAKE_BUILD_TYPE=Release -DCMAKE_UNITY_BUILD=ON -DHEADRACE_ENGINE="$(ARM64_ENGINE)" $(arm64_tests) -DHEADRACE_BENCH=OFF \
	  -DHEADRACE_UNIT_MODULES="$(subst $(space),;,$(SANITIZE_MODULES))" >$(BUILD)/configure-arm64.log 2>&1 || { cat $(BUILD)/configure-arm64.log >&2; exit 1; }
	cmake --build $(ARM64) -j $(JOBS) --target headrace headrace_command

# build/headrace_VERSION_arm64.deb, and headrace-dev.
deb-arm64: arm64
	@scripts/install-packages.sh package
	cmake --build $(ARM64) -j $(JOBS) --target headrace_papers
	cpack --config $(ARM64)/CPackConfig.cmake -B $(BUILD)/packages-arm64 >$(BUILD)/package-arm64.log 2>&1 || { cat $(BUILD)/package-arm64.log >&2; exit 1; }
	@mv $(BUILD)/packages-arm64/*.deb $(BUILD)/ && ls $(BUILD)/*_arm64.deb

# What was built for arm64, on processors and pages that qemu-user emulates: about a quarter of an hour on two cores. No root, and nothing of the
# system learns of the architecture.
test-arm64: deb-arm64
	cmake --build $(ARM64) -j $(JOBS) --target headrace_unit_tests headrace_exactness_tests
	@scripts/emulate-arm64.sh "$(ARM64_SYSROOT)" tests/arm64/arm64_test.sh "$(CURDIR)/$(ARM64)" "$(ARM64_ENGINE)" "$(CURDIR)/$(BUILD)"

clean:
	rm -rf $(RELEASE) $(ARM64) $(BUILD)/sanitize-* $(BUILD)/tidy $(BUILD)/fuzz
