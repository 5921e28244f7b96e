#!/bin/sh
# Installs the Debian packages that building and testing headrace need; nothing when they are there.
# Usage: install-packages.sh [--if-missing PROGRAM PACKAGE]...   with options only those whose program is not found
set -eu
packages='g++ cmake ninja-build make patchelf ca-certificates debian-archive-keyring liburing-dev libcli11-dev
  nlohmann-json3-dev libfmt-dev libboost-dev libgtest-dev libbenchmark-dev python3 procps libncurses-dev chromium'
missing=
if [ $# -gt 0 ]; then
  packages=
  while [ $# -gt 0 ]; do
    command -v "$2" >/dev/null 2>&1 || packages="$packages $3"
    shift 3
  done
fi
for p in $packages; do
  dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q '^install ok installed$' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
echo "packages:$missing"
if [ "$(id -u)" = 0 ]; then as_root=
elif command -v sudo >/dev/null 2>&1; then as_root=sudo
else
  echo "install-packages: not root and no sudo; ask an administrator to run: apt-get install$missing" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp); trap 'rm -f "$log"' EXIT
install() { $as_root apt-get install -q -y --no-install-recommends $missing >"$log" 2>&1; }
install || { $as_root apt-get update -q >"$log" 2>&1 && install; } || { cat "$log" >&2; exit 1; }
