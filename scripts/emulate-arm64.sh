#!/bin/sh
# emulate-arm64.sh SYSROOT COMMAND...: runs COMMAND, where programs for arm64 start like any other (qemu-user), also those that programs start. The kernel
# learns of them in a namespace of this command's own: nothing of the system changes, and no root is needed. Status 77: it cannot be done here.
set -eu
sysroot=$(cd "$1" && pwd)
shift
emulator=$(command -v qemu-aarch64-static || true)
skip() { echo "emulate-arm64: $*" >&2; exit 77; }
[ -n "$emulator" ] || skip "qemu-aarch64-static is missing (scripts/install-packages.sh arm64)"

if [ "${HEADRACE_EMULATES:-}" != "$PPID" ]; then
  unshare --user --map-root-user --mount true 2>/dev/null || skip "namespaces of a user's own are refused here"
  HEADRACE_EMULATES=$$ exec unshare --user --map-root-user --mount --fork "$0" "$sysroot" "$@"
fi
unset HEADRACE_EMULATES
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc 2>/dev/null ||
  skip "this kernel has no binfmt_misc for a namespace (before Linux 6.7, or without the module)"
# P: the program's own name stays argv[0]. F: the emulator is found in any root folder.
magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
printf '%s' ":headrace-arm64:M::$magic:$mask:$emulator:PF" >/proc/sys/fs/binfmt_misc/register || skip "binfmt_misc takes no arm64 here"
export QEMU_LD_PREFIX="$sysroot"
# Emulated threads that wait should not keep the few processors busy.
export OMP_WAIT_POLICY=passive
exec "$@"
