#!/bin/sh
# Installs Node.js where there is none, and npm packages: into DIR/node_modules those that the server's tests use, and into
# DIR/llama-VERSION/node_modules each release of node-llama-cpp, with the llama.cpp that it brings, that headrace is tested with.
# Nothing when they are there. Without a network those tests are skipped. Usage: install-node-packages.sh DIR
set -eu
dir=${1:?usage: install-node-packages.sh DIR}
packages='openai@5.23.2 ollama@0.6.0 playwright-core@1.52.0 axe-core@4.10.3'  # these run with Debian 12's Node.js 18
llama_versions='3.22.1 3.18.1 3.14.2 3.6.0'      # llama.cpp 0.5.0, b8390, b6845, b4753; also in tests/engine/node_engines_test.cpp

"$(dirname "$0")/install-packages.sh" node || exit 0
# install FOLDER PACKAGE...: one folder's packages. Optional ones are left out: they are builds for other machines.
install() {
  folder=$1; shift
  mkdir -p "$folder"
  if [ "$(cat "$folder/installed" 2>/dev/null)" = "$*" ]; then return 0; fi
  echo "node packages: $*"
  log=$folder/install.log
  printf '{"private": true}\n' >"$folder/package.json"
  if npm install --prefix "$folder" --no-package-lock --no-audit --no-fund --ignore-scripts --omit=optional --fetch-retries 1 \
       --fetch-timeout 60000 "$@" >"$log" 2>&1; then
    printf '%s\n' "$*" >"$folder/installed"
  else
    # Without a network everything else can be built and tested.
    tail -n 3 "$log" >&2
    echo "node packages: not installed, their tests will be skipped" >&2
    return 1
  fi
}

# shellcheck disable=SC2086  # a list
install "$dir" $packages || exit 0
for version in $llama_versions; do
  install "$dir/llama-$version" "node-llama-cpp@$version" "@node-llama-cpp/linux-x64@$version" || exit 0
done
