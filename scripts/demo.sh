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

# Repacked kernels and no drafts, as the unstreamed run has it.
generate() {
  "$headrace" run --raw --engine "$engine" --speculate off --kernels repack "$@" "$model" -p "$prompt" -n 64 --temp 0 2>"$out/log" ||
    { cat "$out/log" >&2; exit 1; }
}
# $(said PATTERN): what the pattern's group matches in the lines about the streamed run.
said() { sed -n "s|.*$1.*|\\1|p" "$out/summary" | head -n 1; }

generate --flash-mode on --weights-ram 4M >"$out/streamed"
mv "$out/log" "$out/summary"
generate --flash-mode off >"$out/unstreamed"

echo
echo "A language model whose weights do not fit: 4 MiB of memory for 11 MiB of them."
echo
fold -s -w 74 "$out/streamed" | sed 's/^/    /'
echo
resident=$(said 'headrace: \([0-9.]* [KMG]iB of [0-9.]* [KMG]iB\) weights resident')
per_token=$(said ' \([0-9.]* [KMG]iB\) streamed per pass')
all=$(said 'headrace: \([0-9.]* [KMG]iB\) read in')
speed=$(said 'decode \([0-9.]* tokens/s\) ')
if [ -n "$resident$per_token$all$speed" ]; then
  echo "  memory  $resident of weights stay in it"
  echo "  disk    $per_token of them are read for each token, $all in all"
  echo "  speed   $speed"
else
  cat "$out/summary"
fi
if ! cmp -s "$out/streamed" "$out/unstreamed"; then
  echo "  text    NOT that of llama.cpp with all weights in memory, which says:" >&2
  cat "$out/unstreamed" >&2
  exit 1
fi
echo "  text    to the byte that of llama.cpp with all weights in memory"
echo
echo "Next: $headrace doctor"
echo "      $headrace run MODEL.gguf --ram 4G -p \"Why is the sky blue?\""
