#!/bin/sh
# Builds the unit tests and the preloaded library with sanitizers in a build folder of their own. Runs the unit tests, and those tests with the
# real engine that the usual build has, with that library. Usage: sanitize.sh SANITIZERS BUILD_DIR ENGINE JOBS RELEASE_DIR MODULE...
#   SANITIZERS   as -fsanitize= takes them: address,undefined (memory, leaks, undefined behaviour) or thread (data races; unit tests only)
#   MODULE       a folder of src/ whose unit tests are to be run
# The results are in BUILD_DIR/unit.xml and BUILD_DIR/engine.xml.
set -eu
sanitizers=$1 build=$2 engine=$3 jobs=$4 release=$5
shift 5
modules=$(echo "$*" | tr ' ' ';')
source=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$build"
build=$(cd "$build" && pwd)
cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DHEADRACE_ENGINE="$engine" -DHEADRACE_BENCH=OFF \
  -DHEADRACE_SANITIZE="$sanitizers" -DHEADRACE_UNIT_MODULES="$modules" \
  -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g1" -DCMAKE_CXX_FLAGS=-fno-sanitize-recover=undefined \
  >"$build/configure.log" 2>&1 || { cat "$build/configure.log" >&2; exit 1; }
cmake --build "$build" -j "$jobs" --target headrace_unit_tests headrace

tests() {
  xml=$1
  shift
  rm -f "$xml"
  ctest --output-on-failure --output-junit "$xml" --test-output-size-passed 8192 -j "$jobs" "$@"
}
# Memory that was freed and is kept to find who still uses it: little, for some tests measure what the process holds.
memory=quarantine_size_mb=16
export UBSAN_OPTIONS=print_stacktrace=1
export ASAN_OPTIONS=detect_stack_use_after_return=1:$memory

# Both replace munlock by nothing. ThreadSanitizer does not see how the engine's threads wait for each other (OpenMP), so that it takes every
# product for a race. Nor can it judge what a process holds, its own memory being several times that, or some forks of several threads.
no_munlock='Region.LocksWhatIsTouched'
case $sanitizers in *thread*)
  tests "$build/unit.xml" --test-dir "$build" -L unit \
    -E "$no_munlock|WeightsAllowance.UsedIsWhatWasTouched|WeightsAllowance.CachesInFiles|Region.AForkedChild|KvFileTest.IsNotThereInAForkedChild"
  exit ;;
esac
# The checker of objects needs a descriptor, of which one test leaves none.
tests "$build/unit.xml" --test-dir "$build" -L unit -E "$no_munlock|ModelRegistryTest.AFileThatCannotBeOpenedAgain"

# The engine is not built with sanitizers: what it leaks is not judged. Left out: all kinds of weights, whose kernels are the engine's (half an
# hour), tests that hold a whole process to a limit, hosts in other languages, and devices: the software one compiles its kernels anew, the RPC backend leaks.
export ASAN_OPTIONS=detect_leaks=0:$memory
runtime=$(realpath "$(g++ -print-file-name=libasan.so)")
export HEADRACE_TEST_LIBRARY="$runtime:$build/src/libheadrace.so"
tests "$build/engine.xml" --test-dir "$release/tests/engine" -L engine \
  -E '^Types/|^Settings/Passive|^Plain/Architectures.*[1-9]$|Dlopen.Python|NodeEngines|NodeTeams|OtherPrograms|Vulkan|Rpc|LeaveNothingBehind|InOneBudget|install_and_find_package'
