#!/bin/sh
# Installs Debian's llama.cpp into a private prefix, without root and without touching the system's
# packages: its libc, its libraries and its programs live side by side under PREFIX and find each other
# through an interpreter and RPATH of their own (patchelf). An engine that is there already stays.
set -eu

usage() {
  cat <<'USAGE'
Usage: install-engine.sh PREFIX [--force] [--tests]

  PREFIX    where to put the engine, for instance ~/.local/share/headrace/engine
  --force   install again although PREFIX holds a complete engine
  --tests   also upstream's own test programs (test-backend-ops, test-llama-archs)

Needs: apt-get, dpkg, patchelf (package patchelf). Downloads about 17 MB (with --tests 25 MB) with
the mirror that this system's apt uses; Debian's signatures are checked.
HEADRACE_ENGINE_SUITE names the Debian suite (default forky).
USAGE
}

die() { printf 'install-engine: %s\n' "$*" >&2; exit 1; }

prefix= force=0 tests=0
for arg in "$@"; do
  case "$arg" in
    -h|--help) usage; exit 0 ;;
    --force) force=1 ;;
    --tests) tests=1 ;;
    -*) usage >&2; die "unknown option $arg" ;;
    *) [ -z "$prefix" ] || die "more than one PREFIX: $arg"; prefix=$arg ;;
  esac
done
[ -n "$prefix" ] || { usage >&2; die "no PREFIX given"; }
case "$prefix" in /*) ;; *) prefix=$(pwd)/$prefix ;; esac
suite=${HEADRACE_ENGINE_SUITE:-forky}

complete=$prefix/.complete
if [ "$force" = 0 ] && [ -f "$complete" ] && { [ "$tests" = 0 ] || grep -q '^tests$' "$complete"; }; then
  exit 0
fi

for tool in apt-get dpkg dpkg-deb patchelf; do
  command -v "$tool" >/dev/null 2>&1 || die "$tool is missing; on Debian: apt-get install patchelf (apt-get and dpkg belong to the system)"
done

# The mirror of the system's own apt configuration: the first deb entry of a Debian suite.
mirror() {
  for f in /etc/apt/sources.list.d/*.sources; do
    [ -f "$f" ] || continue
    awk 'tolower($1)=="uris:"{u=$2} tolower($1)=="suites:"{s=$2}
         /^[ \t]*$/{if(u!=""&&s!="")print u" "s; u="";s=""} END{if(u!=""&&s!="")print u" "s}' "$f"
  done
  for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -f "$f" ] || continue
    sed -n 's/^deb[ \t]\{1,\}\(\[[^]]*\][ \t]*\)\{0,1\}\([^ \t]*\)[ \t]\{1,\}\([^ \t]*\).*/\2 \3/p' "$f"
  done
}
codename=$(. /etc/os-release 2>/dev/null; printf '%s' "${VERSION_CODENAME:-}")
uri=$(mirror | awk -v c="$codename" '($2==c||$2=="stable"||$2=="testing"||$2=="sid"||$2=="unstable"||$2=="forky"||$2=="trixie"||$2=="bookworm") && $1 !~ /security/ {print $1; exit}')
[ -n "$uri" ] || die "found no Debian mirror in /etc/apt; on another system install llama.cpp there and pass its folder with --engine"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -f "$keyring" ] || die "$keyring is missing; on Debian: apt-get install debian-archive-keyring"

arch=$(dpkg --print-architecture)
mkdir -p "$(dirname "$prefix")" || die "cannot create $(dirname "$prefix")"
work=$(mktemp -d "$prefix.tmp.XXXXXX") || die "cannot write beside $prefix"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/deb" "$work/root"
printf 'deb [signed-by=%s arch=%s] %s %s main\n' "$keyring" "$arch" "$uri" "$suite" >"$work/sources.list"

apt() {
  apt-get -q -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/nonexistent \
    -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)" \
    -o Acquire::Languages=none -o Acquire::Retries=3 -o Acquire::Check-Valid-Until=false "$@"
}

packages='libggml0 libggml-dev libllama0 libllama-dev llama.cpp-tools llama.cpp-tools-extra
  libc6 libstdc++6 libgcc-s1 libgomp1 libssl3t64 zlib1g libzstd1'
[ "$tests" = 0 ] || packages="$packages llama.cpp-tests"

echo "engine: reading the package lists of Debian $suite"
apt update >"$work/log" 2>&1 || { cat "$work/log" >&2; die "cannot read the package lists of $suite"; }
echo "engine: downloading llama.cpp"
(cd "$work/deb" && apt download $packages) >"$work/log" 2>&1 || { cat "$work/log" >&2; die "cannot download the engine's packages"; }
echo "engine: unpacking into $prefix"
for deb in "$work"/deb/*.deb; do dpkg-deb -x "$deb" "$work/root"; done

root=$work/root
# Debian 13 and later merge /lib into /usr; some packages still ship files under /lib.
for d in lib lib64; do
  [ -d "$root/$d" ] && [ ! -L "$root/$d" ] || continue
  mkdir -p "$root/usr/$d"; cp -a "$root/$d/." "$root/usr/$d/"; rm -rf "${root:?}/$d"
done
rm -rf "$root/usr/share/doc" "$root/usr/share/man" "$root/usr/share/locale" "$root/etc" "$root/var"

first=$(find "$root/usr/bin" -name 'llama-cli' | head -n 1)
[ -n "$first" ] || die "the packages hold no llama-cli"
loader=$(basename "$(patchelf --print-interpreter "$first")")
libdir=$(dirname "$(find "$root/usr/lib" -name 'libllama.so.0' | head -n 1)")
rel=${libdir#"$root"}
[ -e "$libdir/$loader" ] || loader_path=$(find "$root/usr" -name "$loader" | head -n 1)
[ -e "$libdir/$loader" ] || ln -s "$(realpath --relative-to="$libdir" "$loader_path")" "$libdir/$loader"

rpath="$prefix$rel:$prefix$rel/llama"
is_elf() { [ -f "$1" ] && [ ! -L "$1" ] && [ "$(head -c 4 "$1" | tail -c 3)" = ELF ]; }
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

version=$(cd "$work/deb" && for p in llama.cpp-tools libggml0; do dpkg-deb -f "$p"_*.deb Package Version | tr '\n' ' '; done)
{ echo "$version"; [ "$tests" = 0 ] || echo tests; } >"$root/.complete"

old=$prefix.old.$$
[ ! -e "$prefix" ] || mv "$prefix" "$old"
mv "$root" "$prefix"
rm -rf "$old"
echo "engine: ready ($(printf '%s' "$version" | sed 's/Package: //g; s/Version: //g; s/  */ /g'))"
