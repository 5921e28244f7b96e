#!/bin/sh
# Installs the npm packages that the server's tests use into DIR/node_modules; nothing when they are there, or when
# there is no Node.js: those tests are then skipped. Usage: install-node-packages.sh DIR
set -eu
dir=${1:?usage: install-node-packages.sh DIR}
packages='openai@7.57.0 playwright-core@1.65.1'

command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 || { echo "node packages: no node and npm, their tests will be skipped"; exit 0; }
mkdir -p "$dir"
if [ "$(cat "$dir/installed" 2>/dev/null)" = "$packages" ]; then exit 0; fi
echo "node packages: $packages"
log=$dir/install.log
printf '{"private": true}\n' >"$dir/package.json"
if npm install --prefix "$dir" --no-package-lock --no-audit --no-fund --ignore-scripts $packages >"$log" 2>&1; then
  printf '%s\n' "$packages" >"$dir/installed"
else
  # Without a network everything else can be built and tested.
  tail -n 3 "$log" >&2
  echo "node packages: not installed, their tests will be skipped" >&2
fi
