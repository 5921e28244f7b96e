# Two commands do everything: `make demo` and `make test`. Both install what they need first.
BUILD ?= build
ENGINE ?= $(CURDIR)/$(BUILD)/engine
JOBS ?= $(shell nproc)

.PHONY: all setup node demo test test-slow bench install clean
all: setup
	cmake --build $(BUILD)/release -j $(JOBS)

setup:
	@scripts/install-packages.sh
	@scripts/install-engine.sh "$(ENGINE)" --tests
	@cmake -S . -B $(BUILD)/release -G Ninja -DCMAKE_BUILD_TYPE=Release -DHEADRACE_ENGINE="$(ENGINE)" >$(BUILD)/configure.log 2>&1 \
	  || { cat $(BUILD)/configure.log >&2; exit 1; }

# What the tests of the server and its page use beside Debian's packages.
node:
	@scripts/install-node-packages.sh "$(BUILD)/node"

# Streams the bundled model with less memory than its weights need, and compares with an unstreamed run.
demo: all
	@scripts/demo.sh $(BUILD)/release "$(ENGINE)"

test: all node
	ctest --test-dir $(BUILD)/release --output-on-failure -j $(JOBS) -LE slow

test-slow: all node
	ctest --test-dir $(BUILD)/release --output-on-failure -L slow

# Generates models of 4 and 5 GB and measures: about two hours, 14 GB of disk, root for the memory group.
bench: all
	bench/run.sh $(BUILD)/release "$(ENGINE)"

install: all
	cmake --install $(BUILD)/release

clean:
	rm -rf $(BUILD)/release
