#!/usr/bin/env python3
"""check-pages.py LOG...: every address that a program gave the kernel to map, protect, advise or lock memory begins a page. LOG is what
qemu-user writes with QEMU_STRACE=1, PAGE_BYTES the page size that it pretended (QEMU_PAGESIZE). A kernel with such pages refuses other addresses
(EINVAL), and rounds lengths up: memory behind what was given back or protected would go too. Ends with 1 where one does not, or where a LOG holds no
such call at all."""
import os
import re
import sys

PAGE_BYTES = int(os.environ.get("PAGE_BYTES", "65536"))
CALL = re.compile(rb"\b(mmap|munmap|mprotect|madvise|mlock|mlock2|munlock|mincore|msync)\(([^)]*)\)")
DISCARDS = {b"MADV_DONTNEED", b"MADV_FREE"}


def number(text):
    text = text.strip()
    return 0 if text == b"NULL" else int(text, 0)


def fault(call, arguments):
    address, length = number(arguments[0]), number(arguments[1])
    if address % PAGE_BYTES:
        return "the address is in the middle of a page"
    discards = call == b"madvise" and arguments[2].strip() in DISCARDS
    if (call == b"mprotect" or discards) and length % PAGE_BYTES:
        return "the length is no whole pages"
    if call == b"mmap" and number(arguments[5]) % PAGE_BYTES:
        return "the offset is in the middle of a page"
    return None


def main():
    bad = 0
    for path in sys.argv[1:]:
        calls = 0
        with open(path, "rb") as log:
            for line in log:
                found = CALL.search(line)
                if not found:
                    continue
                calls += 1
                what = fault(found[1], found[2].split(b","))
                if what and (bad := bad + 1) <= 10:
                    print(f"{path}: {found[0].decode(errors='replace')}: {what}", file=sys.stderr)
        if calls == 0:
            print(f"{path}: holds no call", file=sys.stderr)
            bad += 1
        print(f"check-pages: {calls} calls, pages of {PAGE_BYTES // 1024} KiB")
    return 1 if bad else 0


sys.exit(main())
