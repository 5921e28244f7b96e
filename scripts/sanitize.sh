#!/bin/sh
# Builds unit tests with sanitizers in a build folder of their own, and runs them.
# Usage: sanitize.sh SANITIZERS BUILD_DIR ENGINE JOBS MODULE...
#   SANITIZERS   as -fsanitize= takes them: address,undefined (memory, leaks, undefined behaviour) or thread (data races)
#   MODULE       a folder of src/ whose tests are to be run
# The results are in BUILD_DIR/tests.xml.
set -eu
sanitizers=$1 build=$2 engine=$3 jobs=$4
shift 4
modules=$(echo "$*" | tr ' ' ';')
source=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$build"
cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DHEADRACE_ENGINE="$engine" -DHEADRACE_BENCH=OFF \
  -DHEADRACE_SANITIZE="$sanitizers" -DHEADRACE_UNIT_TESTS="$modules" \
  -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g1" -DCMAKE_CXX_FLAGS=-fno-sanitize-recover=undefined \
  >"$build/configure.log" 2>&1 || { cat "$build/configure.log" >&2; exit 1; }
cmake --build "$build" -j "$jobs" --target headrace_unit_tests

# Memory that was freed and is kept to find who still uses it: little, for some tests measure what the process holds.
export ASAN_OPTIONS=detect_stack_use_after_return=1:quarantine_size_mb=16 UBSAN_OPTIONS=print_stacktrace=1
rm -f "$build/tests.xml"
ctest --test-dir "$build" --output-on-failure --output-junit tests.xml --test-output-size-passed 8192 -j "$jobs" -L unit
