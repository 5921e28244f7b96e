#!/bin/sh
# Removes what `make install` put under PREFIX, and the folders that this leaves empty. Usage: uninstall.sh PREFIX
set -eu
prefix=$1
list=$prefix/share/headrace/installed
[ -f "$list" ] || { echo "uninstall: $list is missing: headrace was not installed into $prefix by make install" >&2; exit 1; }
names=$(cat "$list"; echo share/headrace/installed)
cd "$prefix"
echo "$names" | while IFS= read -r file; do rm -f "./$file"; done
# The deepest first; one with files of others stays.
echo "$names" | while IFS= read -r file; do
  while file=$(dirname "$file"); [ "$file" != . ]; do echo "$file"; done
done | sort -ru | while IFS= read -r folder; do rmdir "./$folder" 2>/dev/null || true; done
