#!/bin/sh
# clang-tidy over all of src/, with the checks of .clang-tidy. Usage: check-tidy.sh BUILD_FOLDER ENGINE JOBS
# The folder is configured for Clang, with many files compiled as one: headers are then read once for sixteen files.
set -eu
cd "$(dirname "$0")/.."
build=$1 engine=$2 jobs=$3
mkdir -p "$build"
cmake -S . -B "$build" -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_COMPILER=clang -DHEADRACE_ENGINE="$engine" -DHEADRACE_TESTS=OFF \
  -DHEADRACE_BENCH=OFF -DHEADRACE_FUZZ=ON -DCMAKE_UNITY_BUILD=ON -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON >"$build/configure.log" 2>&1 ||
  { cat "$build/configure.log" >&2; exit 1; }
files=$(find "$build/src" -name 'unity_*_cxx.cxx' | sort)
count=$(printf '%s\n' "$files" | wc -l)
[ "$count" -ge 30 ] || { echo "check-tidy: found only $count files of many" >&2; exit 1; }
log=$build/tidy.log
if printf '%s\n' "$files" | xargs -P "$jobs" -n 1 clang-tidy -p "$build" --quiet >"$log" 2>"$log.err"; then
  echo "check-tidy: $count files of many, nothing found"
else
  cat "$log" >&2
  grep -v ' warnings\? generated\|^Suppressed\|^Use -header-filter' "$log.err" >&2 || true
  exit 1
fi
