#!/bin/sh
# Installs the Debian packages of a build into a fresh Debian, uses them there as an ordinary user does, and removes them. Status 77: it cannot be
# done here. Usage: package_test.sh BUILD_DIR WORK_DIR VERSION SUITE
set -eu
build=$1 work=$2 version=$3 suite=$4
root=$work/root

skip() { printf '[  SKIPPED ] package: Skipped\n%s\n\n[ end ]\n' "$*"; exit 77; }
fail() { echo "package_test: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || skip "needs root to set up a fresh Debian"
for tool in debootstrap dpkg-shlibdeps lintian; do
  command -v "$tool" >/dev/null 2>&1 || skip "needs $tool (apt-get install debootstrap dpkg-dev lintian)"
done
unshare --mount --pid --fork true 2>/dev/null || skip "needs namespaces for processes and mounts, which are refused here"
# The mirror of this system's apt.
mirror=$(sed -n 's/^URIs: *\([^ ]*\)$/\1/p; s/^deb \([^ []*\) .*/\1/p' /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null | grep -v security | head -n 1)
[ -n "$mirror" ] || skip "found no Debian mirror in /etc/apt"

rm -rf "$work"
mkdir -p "$work/packages"
trap 'rm -rf "$work"' EXIT
/usr/lib/apt/apt-helper download-file "$mirror/dists/$suite/InRelease" "$work/InRelease" >"$work/log" 2>&1 ||
  skip "apt's mirror has no Debian $suite, or is out of reach: $(tail -n 1 "$work/log")"
release=$(sed -n 's/^Version: *\([0-9]*\).*/\1/p' "$work/InRelease")
built_on=$(sed -n 's/^VERSION_ID="\{0,1\}\([0-9]*\).*/\1/p' /etc/os-release)
[ "${release:-0}" -ge "${built_on:-0}" ] || skip "packages that are built on Debian $built_on need libraries that Debian $release does not have"

cpack --config "$build/CPackConfig.cmake" -B "$work/packages" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "cpack failed"; }
rm -rf "$work/packages/_CPack_Packages"
lintian --allow-root --fail-on error,warning --display-level '>=warning' "$work"/packages/*.deb || fail "lintian finds what is above"

debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$work/log" 2>&1 || skip "debootstrap could not set up Debian $suite: $(tail -n 1 "$work/log")"
cp "$work"/packages/*.deb "$root/tmp/"
# within VARIABLE=VALUE... COMMAND...: in that Debian, with its own processes alone.
within() {
  unshare --mount --pid --fork --mount-proc="$root/proc" chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"
}
inside() { within HOME=/root DEBIAN_FRONTEND=noninteractive "$@"; }
must() { inside "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "$*: failed"; }; }
files() { (cd "$root" && find . -path ./proc -prune -o -path ./var/cache -prune -o -path ./var/log -prune -o -path ./var/lib/dpkg -prune \
  -o -path ./var/lib/apt -prune -o -path ./tmp -prune -o -print | LC_ALL=C sort); }
# An ordinary user's, who has nothing but a folder.
user=1000
mkdir "$root/tmp/home"
chown "$user:$user" "$root/tmp/home"
as_user() { within HOME=/tmp/home setpriv --reuid "$user" --regid "$user" --clear-groups "$@"; }
# said WHAT TEXT: whether what WHAT printed, which is in $work/said, holds TEXT.
said() { grep -q "$2" "$work/said" || { cat "$work/said" >&2; fail "$1 does not say: $2"; }; }

# What the packages need and recommend stays; what they bring must go.
needs=$(for field in Depends Recommends; do dpkg-deb -f "$work"/packages/headrace_*.deb "$field"; done | sed 's/([^)]*)//g; s/,/ /g' | tr '\n' ' ')
must apt-get update -q
# shellcheck disable=SC2086  # a list
must apt-get install -q -y --no-install-recommends $needs
files >"$work/before"
must sh -c 'apt-get install -q -y /tmp/headrace*.deb'

[ "$(inside headrace --version)" = "headrace $version" ] || fail "headrace --version says $(inside headrace --version)"
# Nothing is there to stream with yet; it says so, and what to do.
as_user headrace doctor /tmp/home >"$work/said" 2>&1 || true
said "headrace doctor" 'headrace engine install'
said "headrace doctor" '^good  library '
inside bash -c '. /usr/share/bash-completion/completions/headrace && complete -p headrace' >/dev/null || fail "bash does not take its completion"
for file in usr/share/man/man1/headrace-run.1.gz usr/lib/systemd/user/headrace.service usr/share/zsh/vendor-completions/_headrace \
            usr/share/fish/vendor_completions.d/headrace.fish usr/share/headrace/models/austen-moe-q4_0.gguf usr/include/headrace/headrace.h; do
  # minbase leaves manual pages in; an image that drops them has none of ours either.
  [ -f "$root/$file" ] || fail "/$file is missing"
done

# The command that doctor named, with what the package recommends and no more. It proves the engine at the end.
as_user headrace engine install >"$work/said" 2>&1 || { cat "$work/said" >&2; fail "headrace engine install failed"; }
said "headrace engine install" '4 of 4 the same with streamed weights as without'
as_user headrace doctor /tmp/home >"$work/said" 2>&1 || { cat "$work/said" >&2; fail "headrace doctor still finds something bad"; }
as_user headrace run /usr/share/headrace/models/austen-dense-q4_0.gguf -n 8 "It is a truth" >"$work/said" 2>"$work/log" || { cat "$work/log" >&2; fail "headrace run failed"; }
said "headrace run" '[a-z]'

must apt-get remove --purge -q -y headrace headrace-dev
files >"$work/after"
diff "$work/before" "$work/after" >"$work/left" || { cat "$work/left" >&2; fail "removal leaves the files above"; }
echo "package_test: installed, used and removed in a fresh Debian $suite"
