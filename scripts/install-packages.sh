#!/bin/sh
# Installs the Debian packages that the named purposes need; nothing, without a word, when they are there.
# Usage: install-packages.sh PURPOSE...
#   build   the library and the command
#   test    what the tests use beside that, a software Vulkan device too; the sanitizers come with the compiler
#   node    Node.js and npm, each only where no such program is found
#   package what makes Debian packages
#   slow    what the slow tests use beside that: fresh systems to install the packages in
#   arm64   what builds and tests for arm64 here: the cross compiler, emulation of arm64
#   tidy    clang-tidy, and Clang, which knows what it is to look at
#   fuzz    Clang with libFuzzer
set -eu
packages=
for purpose in "$@"; do
  case $purpose in
    build) packages="$packages g++ cmake ninja-build make patchelf ca-certificates debian-archive-keyring liburing-dev libcli11-dev
             nlohmann-json3-dev libfmt-dev libboost-dev libncurses-dev libedit-dev libcurl4-openssl-dev libssl-dev
             libjs-markdown-it node-dompurify libjs-highlight.js libjs-katex fonts-katex libjs-pdf" ;;
    test) packages="$packages libgtest-dev python3 procps chromium mesa-vulkan-drivers shellcheck clang-format-14 nginx-light haproxy prometheus iproute2" ;;
    node) command -v node >/dev/null 2>&1 || packages="$packages nodejs"
          command -v npm >/dev/null 2>&1 || packages="$packages npm" ;;
    package) packages="$packages dpkg-dev file" ;;
    slow) packages="$packages dpkg-dev file debootstrap lintian" ;;
    arm64) packages="$packages g++-aarch64-linux-gnu qemu-user-static util-linux dpkg-dev file python3" ;;
    tidy) packages="$packages clang clang-tidy" ;;
    fuzz) packages="$packages clang libclang-rt-dev llvm" ;;
    *) echo "install-packages: unknown purpose $purpose" >&2; exit 2 ;;
  esac
done
missing=
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
# shellcheck disable=SC2086  # lists, and no sudo where it is empty
install() { $as_root apt-get install -q -y --no-install-recommends $missing >"$log" 2>&1; }
install || { $as_root apt-get update -q >"$log" 2>&1 && install; } || { cat "$log" >&2; exit 1; }
# The tests start Prometheus themselves; its package would leave one running.
case "$missing " in
  *" prometheus "*) [ ! -d /run/systemd/system ] || $as_root systemctl disable -q --now prometheus >/dev/null 2>&1 || true ;;
esac
