#!/usr/bin/env python3
"""Replays the traces of train.py through caches of several sizes and policies, as a table for docs/experts-policy.md.

Usage: replay.py build/release/bench/headrace-replay TRACES.tar.xz... [--share 0.25] [--half-life 16]
Each kind of text alone, and all of them in turn, another one after every 256 tokens.
"""

import argparse
import json
import os
import struct
import subprocess
import tarfile
import tempfile

MAGIC = b"HRTRACE1"
TURN = 256


def read(archive):
    """The traces of an archive by name, the magic left out."""
    with tarfile.open(archive) as packed:
        return {member.name.removesuffix(".trace"): packed.extractfile(member).read().removeprefix(MAGIC) for member in packed}


def in_turn(traces):
    """One trace: so many tokens of the first kind, of the second, and so on until a kind has no more."""
    _, used = struct.unpack_from("<HH", next(iter(traces.values())))
    step = 4 + 2 * used
    layers = 1 + max(struct.unpack_from("<H", trace, place)[0] for trace in traces.values() for place in range(0, min(len(trace), 1024 * step), step))
    turn = TURN * layers * step
    turns = min(len(trace) for trace in traces.values()) // turn
    return b"".join(trace[number * turn:(number + 1) * turn] for number in range(turns) for trace in traces.values())


def replay(program, trace, shares, half_lives):
    with tempfile.NamedTemporaryFile() as file:
        file.write(MAGIC + trace)
        file.flush()
        options = [option for share in shares for option in ("--share", str(share))]
        options += [option for half_life in half_lives for option in ("--half-life", str(half_life))]
        return json.loads(subprocess.run([program, "--json", *options, file.name], check=True, capture_output=True, text=True).stdout)


def name_of(cache):
    return cache["policy"] if cache["policy"] != "heat" else f"heat, {cache['half_life']:g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("archive", nargs="+")
    parser.add_argument("--share", type=float, action="append", help="of all experts that the cache holds; may be repeated (0.1, 0.25, 0.5, 0.75)")
    parser.add_argument("--half-life", type=float, action="append", help="may be repeated (16, 64, 256)")
    arguments = parser.parse_args()
    shares, half_lives = arguments.share or [0.1, 0.25, 0.5, 0.75], arguments.half_life or [16, 64, 256]
    for archive in arguments.archive:
        traces = read(archive)
        results = {kind: replay(arguments.program, trace, shares, half_lives) for kind, trace in traces.items()}
        if mixed := in_turn(traces):
            results["in turn"] = replay(arguments.program, mixed, shares, half_lives)
        for share in shares:
            policies = [name_of(cache) for cache in next(iter(results.values()))["caches"] if cache["share"] == share]
            print(f"\n{os.path.basename(archive)}, cache for {share:.0%} of the experts: hits, in brackets the share of the optimum's\n")
            print("| trace | tokens | most popular fifth | of the token before | " + " | ".join(policies) + " |")
            print("|---" * (4 + len(policies)) + "|")
            for name, result in results.items():
                cells = [f"{cache['hits'] / cache['chosen']:.3f} ({cache['of_optimum']:.2f})" for cache in result["caches"] if cache["share"] == share]
                print(f"| {name} | {result['passes']} | {result['popular_share']:.2f} | {result['again_share']:.2f} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
