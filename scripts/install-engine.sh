#!/bin/sh
# Installs Debian's llama.cpp into a private prefix, without root and without touching the system's
# packages: its libc, its libraries and its programs live side by side under PREFIX and find each other
# through an interpreter and RPATH of their own (patchelf). An engine that is there already stays.
set -eu

usage() {
  cat <<'USAGE'
Usage: install-engine.sh PREFIX [--force] [--tests] [--architecture=ARCH]

  PREFIX    where to put the engine, for instance ~/.local/share/headrace/engine
  --force   install again although PREFIX holds a complete engine
  --tests   also upstream's own test programs (test-backend-ops, test-llama-archs)
  --architecture=ARCH   of another architecture than this system's, by Debian's name: arm64

Needs: apt-get, dpkg, patchelf (package patchelf). Downloads about 17 MB (with --tests 25 MB) with
the mirror that this system's apt uses; Debian's signatures are checked.
HEADRACE_ENGINE_SUITE names the Debian suite (default forky).
USAGE
}

script=install-engine
. "$(dirname "$0")/debian-packages.sh"

prefix= force=0 tests=0
for arg in "$@"; do
  case "$arg" in
    -h|--help) usage; exit 0 ;;
    --force) force=1 ;;
    --tests) tests=1 ;;
    --architecture=*) architecture=${arg#*=} ;;
    -*) usage >&2; die "unknown option $arg" ;;
    *) [ -z "$prefix" ] || die "more than one PREFIX: $arg"; prefix=$arg ;;
  esac
done
[ -n "$prefix" ] || { usage >&2; die "no PREFIX given"; }
prefix=$(absolute "$prefix")

complete=$prefix/.complete
if [ "$force" = 0 ] && [ -f "$complete" ] && { [ "$tests" = 0 ] || grep -q '^tests$' "$complete"; }; then
  exit 0
fi

release=
packages='libggml0 libggml-dev libllama0 libllama-dev llama.cpp-tools llama.cpp-tools-extra
  libggml0-backend-rpc libc6 libstdc++6 libgcc-s1 libgomp1 libssl3t64 zlib1g libzstd1'
[ "$tests" = 0 ] || packages="$packages llama.cpp-tests"

# $(of_tested PACKAGE FIELD): of the release that headrace was tested with, "" where there is none for this machine.
of_tested() { awk -v a="$architecture" -v p="$1" -v f="$2" '$1==a && $2==p {print $f}' "$(dirname "$0")/tested-engine"; }

# The tested release as a whole, or what the suite has.
choose() {
  chosen= is_tested=1
  for p in $packages; do
    version=$(of_tested "$p" 3)
    [ -z "$version" ] || offers "$p" "$version" || is_tested=0
    chosen="$chosen $p${version:+=$version}"
  done
  tested_version=$(of_tested llama.cpp-tools 3)
  [ -n "$tested_version" ] || is_tested=0
  [ "$is_tested" = 1 ] || chosen=$packages
}

# The files are those that were tested.
check_hashes() {
  for p in $packages; do
    hash=$(of_tested "$p" 4)
    [ -n "$hash" ] || continue
    is=$(sha256sum "$work"/deb/"${p}"_*.deb | cut -d ' ' -f 1)
    [ "$is" = "$hash" ] || die "the file of $p has the SHA-256 $is, not $hash as when headrace was tested; nothing was installed"
  done
}

echo "engine: reading the package lists of Debian ${HEADRACE_ENGINE_SUITE:-forky}"
open_suite "${HEADRACE_ENGINE_SUITE:-forky}" "$prefix"
choose
if [ "$is_tested" = 0 ]; then
  echo "engine: Debian $suite has another release of llama.cpp than ${tested_version:-those} with which headrace was tested; taking it" >&2
fi
echo "engine: downloading llama.cpp into $prefix"
# shellcheck disable=SC2086  # a list
fetch $chosen
[ "$is_tested" = 0 ] || check_hashes

root=$work/root
# Debian 13 and later merge /lib into /usr; some packages still ship files under /lib.
for d in lib lib64; do
  if [ ! -d "$root/$d" ] || [ -L "$root/$d" ]; then continue; fi
  mkdir -p "$root/usr/$d"; cp -a "$root/$d/." "$root/usr/$d/"; rm -rf "${root:?}/$d"
done
rm -rf "$root/usr/share/doc" "$root/usr/share/man" "$root/usr/share/locale" "${root:?}/etc" "${root:?}/var"

first=$(find "$root/usr/bin" -name 'llama-cli' | head -n 1)
[ -n "$first" ] || die "the packages hold no llama-cli"
loader=$(basename "$(patchelf --print-interpreter "$first")")
libdir=$(dirname "$(find "$root/usr/lib" -name 'libllama.so.0' | head -n 1)")
rel=${libdir#"$root"}
[ -e "$libdir/$loader" ] || loader_path=$(find "$root/usr" -name "$loader" | head -n 1)
[ -e "$libdir/$loader" ] || ln -s "$(realpath --relative-to="$libdir" "$loader_path")" "$libdir/$loader"

rpath="$prefix$rel:$prefix$rel/llama"
for f in "$root"/usr/bin/* "$libdir"/llama/* "$root"/usr/libexec/*/* "$libdir"/llama.cpp/*/* "$libdir"/llama.cpp/*; do
  is_elf "$f" || continue
  if patchelf --print-interpreter "$f" >/dev/null 2>&1; then
    patchelf --set-interpreter "$prefix$rel/$loader" "$f"
  fi
  patchelf --force-rpath --set-rpath "$rpath" "$f"
done
for f in "$libdir"/libllama* "$libdir"/libggml* "$libdir"/libmtmd* "$libdir"/ggml/backends*/*.so; do
  is_elf "$f" && patchelf --force-rpath --set-rpath "$rpath" "$f"
done
# ggml looks for its CPU variants beside the program.
for dir in "$root"/usr/bin "$root"/usr/libexec/*; do
  [ -d "$dir" ] || continue
  for so in "$libdir"/ggml/backends*/*.so; do
    [ -e "$so" ] && ln -sf "$(realpath --relative-to="$dir" "$so")" "$dir/$(basename "$so")"
  done
done

version=$(versions llama.cpp-tools libggml0)
{ echo "$version"; [ "$tests" = 0 ] || echo tests; } >"$root/.complete"
replace "$root" "$prefix"
[ "$is_tested" = 0 ] || release=", the release that headrace was tested with"
echo "engine: ready ($(printf '%s' "$version" | sed 's/Package: //g; s/Version: //g; s/  */ /g; s/ $//')${release:-})"
