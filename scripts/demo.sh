#!/bin/sh
# Streams the bundled model with less memory than its weights need and compares the text with that of an
# unstreamed run. Usage: demo.sh BUILD_DIR ENGINE_PREFIX
set -eu
build=$1 engine=$2
headrace=$build/src/headrace
model=$(dirname "$0")/../models/austen-dense-q4_0.gguf
prompt='It is a truth universally acknowledged, that'
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

generate() { "$headrace" run --raw --engine "$engine" "$@" "$model" -p "$prompt" -n 64 --temp 0; }

# Repacked kernels, as the unstreamed run uses.
echo "Streaming $(basename "$model") with 4 MiB for its 11 MiB of weights:"
echo
generate --flash-mode on --weights-ram 4M --kernels repack >"$out/streamed" 2>"$out/summary" || { cat "$out/streamed" "$out/summary" >&2; exit 1; }
cat "$out/streamed"
echo
cat "$out/summary"
generate --flash-mode off >"$out/unstreamed" 2>"$out/log" || { cat "$out/log" >&2; exit 1; }
if cmp -s "$out/streamed" "$out/unstreamed"; then
  echo "The text equals that of an unstreamed run."
else
  echo "The text differs from that of an unstreamed run:" >&2
  cat "$out/unstreamed" >&2
  exit 1
fi
