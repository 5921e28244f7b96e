#!/bin/sh
# Has shellcheck read every shell script of the source; .shellcheckrc says how. Status 77: there is no shellcheck here.
set -eu
cd "$(dirname "$0")/.."
if ! command -v shellcheck >/dev/null 2>&1; then
  printf '[  SKIPPED ] shell: Skipped\nneeds shellcheck (apt-get install shellcheck)\n\n[ end ]\n'
  exit 77
fi
# A script says in its first line which shell it is for; one that others source has .sh in its name.
# shellcheck disable=SC2046  # no name has a blank in it
set -- $(find .ci bench cmake examples fuzz models packaging scripts tests web -name node_modules -prune -o -type f -exec awk \
  'FNR == 1 { if (/^#!.*[\/ ](ba)?sh( |$)/ || FILENAME ~ /\.sh$/) print FILENAME; nextfile }' {} +)
[ $# -ge 10 ] || { echo "check-shell: found only $# scripts: $*" >&2; exit 1; }
shellcheck "$@"
echo "check-shell: $# scripts"
