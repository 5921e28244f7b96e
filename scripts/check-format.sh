#!/bin/sh
# Whether every C and C++ file is as clang-format 14 writes it by .clang-format (other versions write a few lines otherwise).
# `scripts/check-format.sh --fix` writes them so. Status 77: there is no such clang-format here.
set -eu
cd "$(dirname "$0")/.."
program=$(command -v clang-format-14 || command -v clang-format || true)
case $([ -z "$program" ] || "$program" --version) in
  *"version 14."*) ;;
  *) printf '[  SKIPPED ] format: Skipped\nneeds clang-format 14 (apt-get install clang-format-14)\n\n[ end ]\n'; exit 77 ;;
esac
[ "${1:-}" = --fix ] && how=-i || how='--dry-run --Werror'
# shellcheck disable=SC2046,SC2086  # no name has a blank in it; a list
set -- $(find src include tests bench examples fuzz -type f \( -name '*.cpp' -o -name '*.h' -o -name '*.c' \))
[ $# -ge 500 ] || { echo "check-format: found only $# files" >&2; exit 1; }
# shellcheck disable=SC2086  # a list
"$program" $how "$@" || { echo "check-format: scripts/check-format.sh --fix mends these" >&2; exit 1; }
echo "check-format: $# files"
