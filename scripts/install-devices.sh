#!/bin/sh
# Installs what tests need to run Debian's llama.cpp with other devices than the processor: ggml's backends for Vulkan, BLAS and RPC of the
# engine's own release, and the libraries that they load. Everything lies flat in PREFIX; the engine stays as it is, and loads the one file that
# GGML_BACKEND_PATH names beside its own. What is there already stays.
set -eu

usage() {
  cat <<'USAGE'
Usage: install-devices.sh PREFIX ENGINE [--force]

  PREFIX    where to put the backends, for instance build/devices
  ENGINE    the prefix that install-engine.sh made
  --force   install again although PREFIX holds those of this engine

Needs: apt-get, dpkg, patchelf (package patchelf). Downloads about 5 MB with the mirror that this system's apt uses; Debian's signatures are
checked. HEADRACE_ENGINE_SUITE names the Debian suite (default forky). A software Vulkan device is package mesa-vulkan-drivers of the system's own:

  GGML_BACKEND_PATH=PREFIX/libggml-vulkan.so GGML_VK_VISIBLE_DEVICES=0 \
  VK_DRIVER_FILES=/usr/share/vulkan/icd.d/lvp_icd.x86_64.json ENGINE/usr/bin/llama-bench --list-devices
USAGE
}

script=install-devices
. "$(dirname "$0")/debian-packages.sh"

prefix= engine= force=0
for arg in "$@"; do
  case "$arg" in
    -h|--help) usage; exit 0 ;;
    --force) force=1 ;;
    -*) usage >&2; die "unknown option $arg" ;;
    *) if [ -z "$prefix" ]; then prefix=$arg; elif [ -z "$engine" ]; then engine=$arg; else die "one argument too many: $arg"; fi ;;
  esac
done
[ -n "$engine" ] || { usage >&2; die "PREFIX and ENGINE must be given"; }
prefix=$(absolute "$prefix") engine=$(absolute "$engine")

[ -f "$engine/.complete" ] || die "$engine was not made by install-engine.sh; the backends must be of the engine's own release"
ggml=$(sed -n 's/.*Package: libggml0 Version: \([^ ]*\).*/\1/p' "$engine/.complete")
libdir=$(dirname "$(find "$engine/usr/lib" -name 'libggml-base.so.0' | head -n 1)")
# The run path names the engine's folder.
identity="libggml0 $ggml in $libdir"
if [ "$force" = 0 ] && [ "$(cat "$prefix/.complete" 2>/dev/null)" = "$identity" ]; then exit 0; fi

echo "devices: downloading ggml's backends for Vulkan, BLAS and RPC"
open_suite "${HEADRACE_ENGINE_SUITE:-forky}" "$prefix"
# The reference BLAS: a hundredth of the others' size, and as fast as tests need.
fetch "libggml0-backend-vulkan=$ggml" "libggml0-backend-blas=$ggml" "libggml0-backend-rpc=$ggml" libvulkan1 libblas3

mkdir "$work/flat"
find "$work/root/usr/lib" -name '*.so*' -exec mv {} "$work/flat" \;
for so in "$work"/flat/*; do
  ! is_elf "$so" || patchelf --force-rpath --set-rpath "$prefix:$libdir" "$so"
done
for so in libggml-vulkan.so libggml-blas.so libggml-rpc.so libvulkan.so.1 libblas.so.3; do
  [ -e "$work/flat/$so" ] || die "the packages hold no $so"
done
echo "$identity" >"$work/flat/.complete"
replace "$work/flat" "$prefix"
echo "devices: ready ($identity)"
