#!/bin/sh
# Tests of a build for arm64, on processors and pages that qemu-user emulates. Runs under scripts/emulate-arm64.sh.
# Usage: arm64_test.sh BUILD_DIR ENGINE PACKAGES_DIR      ends with the counts
set -eu
build=$1 engine=$2 packages=$3
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
server=
# shellcheck disable=SC2317  # the trap's
finish() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
passed=0 failed=0 skipped=0

# test NAME COMMAND...: one test, whose output is shown when it fails.
test_of() {
  name=$1 start=$(date +%s)
  shift
  if "$@" >"$work/log" 2>&1; then passed=$((passed + 1)) verdict=ok; else failed=$((failed + 1)) verdict=FAILED; fi
  echo "$verdict  $name ($(($(date +%s) - start)) s)"
  [ "$verdict" = ok ] || sed 's/^/    /' "$work/log" | tail -n 60
}

# gtests NAME PROGRAM FILTER: each test of a GoogleTest program counts.
gtests() {
  name=$1 start=$(date +%s)
  "$build/$2" --gtest_filter="$3" --gtest_brief=1 >"$work/log" 2>&1 && status=0 || status=$?
  good=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$work/log")
  bad=$(grep -c '^\[  FAILED  \] .* ms)$' "$work/log" || true)
  left=$(sed -n 's/^\[  SKIPPED \] \([0-9]*\) test.*/\1/p' "$work/log" | head -n 1)
  # A program that ended in the middle of a test, or ran none, names none that failed.
  if [ "$bad" = 0 ] && { [ "$status" != 0 ] || [ "${good:-0}" = 0 ]; }; then bad=1; fi
  passed=$((passed + ${good:-0})) failed=$((failed + bad)) skipped=$((skipped + ${left:-0}))
  echo "$name: ${good:-0} passed, $bad failed, ${left:-0} skipped ($(($(date +%s) - start)) s)"
  [ "$bad" = 0 ] || sed 's/^/    /' "$work/log" | tail -n 80
}

no_judge=$(sed 's/#.*//; s/ *$//' "$source/tests/arm64/not_emulated" | grep . | tr '\n' ':')

export QEMU_CPU=cortex-a76
gtests "unit tests, Cortex-A76, pages of 4 KiB" tests/headrace_unit_tests "-$no_judge"
# With larger pages those of memory: all addresses that they give the kernel are written down. The kernel below still counts pages of its own, in
# mincore and smaps: what looks there is left out.
of_memory='Region*:Headroom*:MappingTable*:KvFile*:PageRanges*:ExpertCache*:Prefetcher*:RowReader*:RowMemory*:Residency*:WeightStore*:Statm*:Available*'
of_memory=$of_memory:WeightsAllowance.CopiedWeightsOfModelsThatFitCountOnce
counts_pages=Region.MemoryInUseNeverExceedsWhatIsCommitted
# Experts and rows of a few pages of 4 KiB: with larger pages their sizes are all one.
few_pages=RowReaderTest.AnErrorIsToldOnceAndWhatComesLaterIsRead:ExpertCacheTest.ASmallBudgetHasRoomForATokensExpertsOfEachSize
few_pages=$few_pages:ExpertCacheTest.MemoryMovesToTheSizeThatNeedsIt:ExpertCacheTest.BytesStayRightWhileMemoryMoves:ExpertCacheTest.HitsAsWithAUniformFile
for pages in 16384 65536; do
  export QEMU_PAGESIZE=$pages QEMU_STRACE=1 QEMU_LOG_FILENAME="$work/calls"
  gtests "unit tests of memory, pages of $((pages / 1024)) KiB" tests/headrace_unit_tests "$of_memory:-$no_judge:$counts_pages:$few_pages"
  unset QEMU_PAGESIZE QEMU_STRACE QEMU_LOG_FILENAME
  PAGE_BYTES=$pages test_of "their addresses begin pages of $((pages / 1024)) KiB" "$source/scripts/check-pages.py" "$work/calls"
done

# Every logit as stock llama.cpp's: kernels of a Raspberry Pi 5 (dot products), of Neoverse V1 and V2 (i8mm, SVE of 256 and 128 bits), and of one without any.
exact='Kernels/ExactnessOf.ThreadsThatDivideNoRowGroupEvenly/*:Kernels/ExactnessOf.ExpertsInNarrowBatches/*'
for cpu in cortex-a72 cortex-a76 max,sve-max-vq=1 max,sve-max-vq=2; do
  QEMU_CPU=$cpu
  gtests "exactness, $cpu" tests/engine/headrace_exactness_tests "$exact"
done
QEMU_CPU=cortex-a76

# As a whole, with large pages: the text of the emulated library, and every address that it gives the kernel.
logits() {
  "$build/tests/engine/logits_dump" --model "$source/models/austen-moe-q4_0.gguf" --repack 0 --threads 2 --prompts 1,9 --decode 2 --ubatch 512 --out "$1"
}
large_pages() {
  logits "$work/stock" &&
    LD_PRELOAD=$build/src/libheadrace.so HEADRACE_FLASH_MODE=on HEADRACE_WEIGHTS_RAM=5M HEADRACE_KERNELS=plain HEADRACE_REMEMBER=0 \
      QEMU_PAGESIZE=$1 QEMU_STRACE=1 QEMU_LOG_FILENAME=$work/calls logits "$work/streamed" &&
    cmp "$work/stock" "$work/streamed" && PAGE_BYTES=$1 "$source/scripts/check-pages.py" "$work/calls"
}
for pages in 16384 65536; do test_of "a mixture streams with pages of $((pages / 1024)) KiB" large_pages "$pages"; done

test_of "headrace run streams, with the text of llama.cpp" "$source/scripts/demo.sh" "$build" "$engine"

# A server with the engine's own as its child.
serves() {
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  XDG_CONFIG_HOME=$work/config XDG_CACHE_HOME=$work/cache "$build/src/headrace" serve "$source/models/austen-dense-q4_0.gguf" --engine "$engine" \
    --port "$port" --weights-ram 4M --flash-mode on -- --threads 2 >"$work/server.log" 2>&1 &
  server=$!
  answer=
  for _ in $(seq 100); do
    answer=$(curl -s --max-time 120 -H 'Content-Type: application/json' "http://127.0.0.1:$port/v1/completions" \
      -d '{"prompt": "It is a truth universally acknowledged, that", "max_tokens": 8, "temperature": 0}' || true)
    case $answer in *'"text"'*) break ;; esac
    kill -0 "$server" 2>/dev/null || break
    sleep 1
  done
  streamed=$(curl -s "http://127.0.0.1:$port/metrics" | sed -n 's/^headrace_flash_read_bytes_total{.*} //p')
  kill "$server"
  wait "$server" || true
  server=
  echo "answer: $answer"
  echo "bytes read: $streamed"
  cat "$work/server.log"
  python3 - "$answer" "${streamed:-0}" <<'CHECK'
import json, sys
assert json.loads(sys.argv[1])["choices"][0]["text"].strip(), "no text"
assert float(sys.argv[2]) > 1e6, "nothing was streamed"
CHECK
}
test_of "headrace serve answers over HTTP" serves

# The packages: everything that is compiled is for arm64, and what it needs is named.
package() {
  deb=$(ls "$packages"/headrace_*_arm64.deb) && dpkg-deb -x "$deb" "$work/package" && dpkg-deb -f "$deb" Architecture Depends || return 1
  [ "$(dpkg-deb -f "$deb" Architecture)" = arm64 ] || return 1
  # libcurl.so.4 -> libcurl4, libc.so.6 -> libc6, libstdc++.so.6 -> libstdc++6: so Debian calls a library's package.
  needed=$(readelf -d "$work/package/usr/bin/headrace" "$work/package/usr/lib/aarch64-linux-gnu/libheadrace.so.0" |
    sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' | grep -v '^ld-linux\|^libm\.' | sort -u) || return 1
  for library in $needed; do
    case $library in
      libgcc_s.so.1) wanted=libgcc-s1 ;;
      libcrypto.so.3) wanted=libssl3 ;;
      *) wanted=$(echo "$library" | sed 's/\.so\.//') ;;
    esac
    dpkg-deb -f "$deb" Depends | tr -d ' ' | tr ',' '\n' | sed 's/(.*//' | grep -qx "$wanted" || { echo "Depends does not name $wanted"; return 1; }
  done
  compiled=$(find "$work/package" -type f -exec file {} + | grep ELF) && echo "$compiled"
  [ "$(echo "$compiled" | wc -l)" -ge 2 ] && ! echo "$compiled" | grep -v 'ARM aarch64' || return 1
  [ -e "$work/package/usr/lib/aarch64-linux-gnu/libheadrace.so.0" ] || return 1
  ls "$packages"/headrace-dev_*_arm64.deb && "$work/package/usr/bin/headrace" --version
}
test_of "the Debian package for arm64" package

echo "arm64: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
