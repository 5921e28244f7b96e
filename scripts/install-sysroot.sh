#!/bin/sh
# The libraries that headrace is built with, of another architecture, in a private prefix: what CMake takes for the root of such a system. Neither the
# system's packages nor its apt learn of that architecture. A sysroot that is there already stays.
set -eu

script=install-sysroot
. "$(dirname "$0")/debian-packages.sh"

[ $# = 2 ] || die "usage: install-sysroot.sh PREFIX ARCHITECTURE, for instance build/arm64-sysroot arm64"
prefix=$(absolute "$1")
architecture=$2

packages='libc6-dev liburing-dev libcli11-dev nlohmann-json3-dev libfmt-dev libboost-dev libncurses-dev libedit-dev libcurl4-openssl-dev libssl-dev
  libgtest-dev'

wanted="$(printf '%s' "$packages" | tr -s ' \n' '  '), dpkg's database"
[ "$(cat "$prefix/.complete" 2>/dev/null)" != "$wanted" ] || exit 0

# Of this system's own release: its compiler links them.
# shellcheck source=/dev/null
release=$(. /etc/os-release; printf '%s' "${VERSION_CODENAME:-}")
[ -n "$release" ] || die "/etc/os-release names no release of Debian"
echo "sysroot: reading the package lists of Debian $release for $architecture"
open_suite "$release" "$prefix"
echo "sysroot: downloading the libraries for $architecture into $prefix"
# shellcheck disable=SC2086  # a list
fetch_with_dependencies $packages

# Links that name a file of the whole system are made to name the sysroot's.
find "$work/root" -type l -lname '/*' | while read -r link; do
  ln -sfn "$(realpath --canonicalize-missing --no-symlinks --relative-to="$(dirname "$link")" "$work/root$(readlink "$link")")" "$link"
done
rm -rf "$work/root/usr/share/doc" "$work/root/usr/share/man" "$work/root/usr/share/locale" "${work:?}/root/var"

# A database of dpkg's own kind, for dpkg-shlibdeps (cmake/CrossPackaging.cmake): the packages that libraries belong to, with the paths of their files
# here, and from which version on each symbol is there.
info=$work/root/var/lib/dpkg/info
mkdir -p "$info"
echo 1 >"$info/format"
for deb in "$work"/cache/archives/*.deb; do
  rm -rf "$work/control"
  dpkg-deb -e "$deb" "$work/control"
  [ -e "$work/control/shlibs" ] || [ -e "$work/control/symbols" ] || continue
  { dpkg-deb -f "$deb"; printf 'Status: install ok installed\n\n'; } >>"$info/../status"
  package=$(dpkg-deb -f "$deb" Package)
  [ "$(dpkg-deb -f "$deb" Multi-Arch)" != same ] || package=$package:$architecture
  dpkg-deb --fsys-tarfile "$deb" | tar -t | sed "s|^\.|$prefix|; s|/\$||" >"$info/$package.list"
  for kind in shlibs symbols; do
    [ ! -e "$work/control/$kind" ] || cp "$work/control/$kind" "$info/$package.$kind"
  done
done
printf '%s\n' "$wanted" >"$work/root/.complete"
replace "$work/root" "$prefix"
echo "sysroot: ready"
