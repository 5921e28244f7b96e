#!/bin/sh
# Installs the Debian packages of a build into a fresh Debian, uses them there, and removes them. Status 77: it cannot be done here.
# Usage: package_test.sh BUILD_DIR WORK_DIR VERSION
set -eu
build=$1 work=$2 version=$3
root=$work/root

skip() { printf '[  SKIPPED ] package: Skipped\n%s\n\n[ end ]\n' "$*"; exit 77; }
fail() { echo "package_test: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || skip "needs root to set up a fresh Debian"
for tool in debootstrap dpkg-shlibdeps unshare; do
  command -v "$tool" >/dev/null 2>&1 || skip "needs $tool (apt-get install debootstrap dpkg-dev)"
done
mirror=$(sed -n 's/^URIs: *\([^ ]*\)$/\1/p; s/^deb \([^ []*\) .*/\1/p' /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null | grep -v security | head -n 1)
[ -n "$mirror" ] || skip "found no Debian mirror in /etc/apt"
suite=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-bookworm}")

rm -rf "$work"
mkdir -p "$work/packages"
trap 'rm -rf "$work"' EXIT
cpack --config "$build/CPackConfig.cmake" -B "$work/packages" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "cpack failed"; }
rm -rf "$work/packages/_CPack_Packages"
if command -v lintian >/dev/null 2>&1; then
  lintian --fail-on error --display-level '>=error' "$work"/packages/*.deb || fail "lintian found errors"
fi

debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$work/log" 2>&1 || { tail -n 5 "$work/log"; skip "debootstrap failed: the mirror may be out of reach"; }
cp "$work"/packages/*.deb "$root/tmp/"
inside() { unshare --mount --pid --fork --mount-proc="$root/proc" chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
must() { inside "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "$*: failed"; }; }
files() { (cd "$root" && find . -path ./proc -prune -o -path ./var/cache -prune -o -path ./var/log -prune -o -path ./var/lib/dpkg -prune \
  -o -path ./var/lib/apt -prune -o -print | LC_ALL=C sort); }

# What the packages need stays; what they bring must go.
must apt-get update -q
must apt-get install -q -y --no-install-recommends libncursesw6 libstdc++6
files >"$work/before"
must sh -c 'apt-get install -q -y --no-install-recommends /tmp/headrace*.deb'

[ "$(inside headrace --version)" = "headrace $version" ] || fail "headrace --version says $(inside headrace --version)"
# Nothing is there to stream with yet; it says so, and what to do.
inside headrace doctor >"$work/doctor" 2>&1 || true
grep -q 'headrace engine install' "$work/doctor" || { cat "$work/doctor" >&2; fail "headrace doctor does not say how to get an engine"; }
! grep -q 'libheadrace.so is' "$work/doctor" || { cat "$work/doctor" >&2; fail "headrace doctor does not find the library"; }
inside bash -c '. /usr/share/bash-completion/completions/headrace && complete -p headrace' >/dev/null || fail "bash does not take its completion"
for file in usr/share/man/man1/headrace-run.1.gz usr/lib/systemd/user/headrace.service usr/share/zsh/vendor-completions/_headrace \
            usr/share/fish/vendor_completions.d/headrace.fish usr/share/headrace/models/austen-moe-q4_0.gguf usr/include/headrace/headrace.h; do
  # minbase leaves manual pages in; an image that drops them has none of ours either.
  [ -f "$root/$file" ] || fail "/$file is missing"
done

must apt-get purge -q -y headrace headrace-dev
files >"$work/after"
diff "$work/before" "$work/after" >"$work/left" || { cat "$work/left" >&2; fail "removal leaves the files above"; }
echo "package_test: installed, used and removed in a fresh Debian $suite"
