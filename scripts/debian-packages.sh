# Sourced by install-engine.sh, install-devices.sh and install-sysroot.sh, which set `script`, the name that messages begin with: fetches packages of another Debian
# suite than this system's, without root and without touching the system's packages, and gives their files a run path of their own.
# shellcheck shell=sh

# Of the packages; who sources this may set another one.
architecture=$(dpkg --print-architecture 2>/dev/null || true)

# shellcheck disable=SC2154  # script: of who sources this
die() { printf '%s: %s\n' "$script" "$*" >&2; exit 1; }

# $(absolute PATH)
absolute() { case "$1" in /*) printf '%s' "$1" ;; *) printf '%s/%s' "$(pwd)" "$1" ;; esac; }

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

# open_suite SUITE PREFIX: makes the folder $work beside PREFIX, which goes when the script ends, and reads SUITE's package lists into it.
open_suite() {
  suite=$1
  for tool in apt-get dpkg dpkg-deb patchelf; do
    command -v "$tool" >/dev/null 2>&1 || die "$tool is missing; on Debian: apt-get install patchelf (apt-get and dpkg belong to the system)"
  done
  # shellcheck source=/dev/null
  codename=$(. /etc/os-release 2>/dev/null; printf '%s' "${VERSION_CODENAME:-}")
  uri=$(mirror | awk -v c="$codename" '($2==c||$2=="stable"||$2=="testing"||$2=="sid"||$2=="unstable"||$2=="forky"||$2=="trixie"||$2=="bookworm") && $1 !~ /security/ {print $1; exit}')
  [ -n "$uri" ] || die "found no Debian mirror in /etc/apt; on another system install llama.cpp there and pass its folder with --engine"
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -f "$keyring" ] || die "$keyring is missing; on Debian: apt-get install debian-archive-keyring"

  mkdir -p "$(dirname "$2")" || die "cannot create $(dirname "$2")"
  work=$(mktemp -d "$2.tmp.XXXXXX") || die "cannot write beside $2"
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/deb" "$work/root"
  printf 'deb [signed-by=%s arch=%s] %s %s main\n' "$keyring" "$architecture" "$uri" "$suite" >"$work/sources.list"
  apt get update >"$work/log" 2>&1 && return
  # A mirror of one day keeps lists that expired long ago.
  apt get -o Acquire::Check-Valid-Until=false update >"$work/log" 2>&1 || { cat "$work/log" >&2; die "cannot read the package lists of $suite"; }
  printf '%s: the package lists of %s at %s are signed but have expired: they are of an earlier day\n' "$script" "$suite" "$uri" >&2
}

# apt get|cache ARGUMENTS: with the lists of that suite alone.
apt() {
  tool=apt-$1
  shift
  "$tool" -q -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/nonexistent \
    -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)" \
    -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

# offers PACKAGE VERSION: whether the suite has it.
offers() { apt cache madison "$1" 2>/dev/null | awk -F ' *[|] *' -v v="$2" '$2==v {found=1} END {exit !found}'; }

# fetch PACKAGE...: into $work/deb, and unpacked into $work/root. PACKAGE=VERSION asks for one version.
fetch() {
  (cd "$work/deb" && apt get download "$@") >"$work/log" 2>&1 || { cat "$work/log" >&2; die "cannot download the packages $*"; }
  for deb in "$work"/deb/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
}

# fetch_with_dependencies PACKAGE...: these and all that they need, as for a system that has no package.
fetch_with_dependencies() {
  : >"$work/status"
  apt get -y -o Dir::State::status="$work/status" --no-install-recommends --download-only install "$@" >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; die "cannot download the packages $*"; }
  for deb in "$work"/cache/archives/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
}

# $(versions PACKAGE...): of those that were fetched, in one line.
versions() { (cd "$work/deb" && for p in "$@"; do dpkg-deb -f "${p}"_*.deb Package Version | tr '\n' ' '; done); }

is_elf() { [ -f "$1" ] && [ ! -L "$1" ] && [ "$(head -c 4 "$1" | tail -c 3)" = ELF ]; }

# replace FOLDER PREFIX: FOLDER takes the place of PREFIX, which is there as a whole at any time.
replace() {
  old=$2.old.$$
  [ ! -e "$2" ] || mv "$2" "$old"
  mv "$1" "$2"
  rm -rf "$old"
}
