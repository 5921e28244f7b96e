#!/bin/sh
# Makes docs/pictures/top.png: headrace top on a terminal, while a model answers. Needs tmux, Chromium, and the
# packages of the tests.
# Usage: picture-of-top.sh HEADRACE MODEL RAM
set -eu
[ $# -eq 3 ] || { sed -n 2,4p "$0" >&2; exit 2; }
headrace=$1 model=$2 ram=$3
root=$(cd "$(dirname "$0")/.." && pwd)
"$headrace" run "$model" --ram "$ram" --raw -n 100000 -q -p 'It is a truth universally acknowledged' -- --ignore-eos >/dev/null 2>&1 &
run=$!
# shellcheck disable=SC2064
trap "kill $run 2>/dev/null || true; tmux -L headrace-picture kill-server 2>/dev/null || true" EXIT
tmux -L headrace-picture new-session -d -x 124 -y 8 "sleep 25; '$headrace' top"
sleep 40
tmux -L headrace-picture capture-pane -p |
  NODE_MODULES=$root/build/node/node_modules node "$root/scripts/picture-of-text.mjs" "$root/docs/pictures/top.png"
