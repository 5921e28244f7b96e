#!/bin/sh
# Builds the fuzz targets with Clang, address and undefined behaviour sanitizers, and runs each for its share of the time, two at a time.
# New inputs stay in BUILD_DIR/corpus; an input that breaks a target is kept in BUILD_DIR/crashes and told. Usage: fuzz.sh BUILD_DIR ENGINE SECONDS
set -eu
build=$1 engine=$2 seconds=$3
source=$(cd "$(dirname "$0")/.." && pwd)
log=$build/configure.log
mkdir -p "$build/corpus" "$build/crashes" "$build/logs"
cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DHEADRACE_ENGINE="$engine" -DHEADRACE_TESTS=OFF -DHEADRACE_BENCH=OFF -DHEADRACE_FUZZ=ON \
  -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_CXX_FLAGS_RELEASE="-O1 -g1 -fsanitize=fuzzer-no-link" \
  -DHEADRACE_SANITIZE=address,undefined -DCMAKE_CXX_FLAGS="-fno-sanitize-recover=undefined" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
cmake --build "$build" --target fuzz_targets

targets=$(cd "$source/fuzz/corpus" && echo *)
count=$(echo "$targets" | wc -w)
each=$((seconds * 2 / count)); [ "$each" -ge 1 ] || each=1
echo "fuzz: $count targets, $each s each"
run() {
  mkdir -p "$build/corpus/$1"
  if ASAN_OPTIONS=detect_leaks=1 "$build/fuzz/fuzz_$1" -max_total_time="$each" -timeout=20 -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 \
      -artifact_prefix="$build/crashes/$1-" "$build/corpus/$1" "$source/fuzz/corpus/$1" >"$build/logs/$1" 2>&1; then
    echo "fuzz: $1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$build/logs/$1") inputs, $(find "$build/corpus/$1" -type f | wc -l) kept, no fault"
  else
    echo "fuzz: $1: FAULT, see $build/logs/$1"
    echo "$1" >>"$build/failed"
  fi
}
rm -f "$build/failed"
# Two queues, every second target in each.
queue() {
  number=0
  for target in $targets; do
    [ $((number % 2)) = "$1" ] && run "$target"
    number=$((number + 1))
  done
}
queue 0 & first=$!
queue 1
wait $first
if [ -e "$build/failed" ]; then
  echo "fuzz: $(wc -l <"$build/failed") targets found a fault" >&2
  exit 1
fi
echo "fuzz: no fault in $((each * count)) processor-seconds"
