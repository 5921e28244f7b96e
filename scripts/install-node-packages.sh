#!/bin/sh
# Installs Node.js where there is none, and into DIR/node_modules the npm packages that the server's tests use; nothing when they
# are there. Without a network those tests are skipped. Usage: install-node-packages.sh DIR
set -eu
dir=${1:?usage: install-node-packages.sh DIR}
packages='openai@5.23.2 playwright-core@1.52.0'  # these run with Debian 12's Node.js 18

"$(dirname "$0")/install-packages.sh" node || exit 0
mkdir -p "$dir"
if [ "$(cat "$dir/installed" 2>/dev/null)" = "$packages" ]; then exit 0; fi
echo "node packages: $packages"
log=$dir/install.log
printf '{"private": true}\n' >"$dir/package.json"
if npm install --prefix "$dir" --no-package-lock --no-audit --no-fund --ignore-scripts --fetch-retries 1 --fetch-timeout 60000 $packages >"$log" 2>&1; then
  printf '%s\n' "$packages" >"$dir/installed"
else
  # Without a network everything else can be built and tested.
  tail -n 3 "$log" >&2
  echo "node packages: not installed, their tests will be skipped" >&2
fi
