#!/usr/bin/env python3
"""Copies a part of an archive of traces: the first tokens of some kinds of text.

Usage: cut.py FROM.tar.xz TO.tar.xz --tokens 1024 --kind c --kind german
"""

import argparse
import io
import struct
import tarfile

MAGIC = b"HRTRACE1"


def first_tokens(trace, tokens):
    """A token ends where the layer number falls or stays."""
    place, before, seen = len(MAGIC), -1, 0
    while place < len(trace):
        layer, used = struct.unpack_from("<HH", trace, place)
        seen += layer <= before or before < 0
        if seen > tokens:
            break
        before = layer
        place += 4 + 2 * used
    return trace[:place]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--kind", action="append", required=True)
    arguments = parser.parse_args()
    with tarfile.open(arguments.source) as source, tarfile.open(arguments.target, "w:xz", preset=9) as target:
        for kind in arguments.kind:
            trace = first_tokens(source.extractfile(kind + ".trace").read(), arguments.tokens)
            entry = tarfile.TarInfo(kind + ".trace")
            entry.size = len(trace)
            target.addfile(entry, io.BytesIO(trace))


if __name__ == "__main__":
    main()
