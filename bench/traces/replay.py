#!/usr/bin/env python3
"""Replays the traces of train.py through caches of several sizes and policies, as a table for docs/experts-policy.md.

Usage: replay.py build/release/bench/headrace-replay TRACES.tar.xz... [--share 0.25] [--half-life 16]
Each kind of text alone, and all of them in turn, another one after every 256 tokens. The first third of each trace fills the cache and is not counted.
With --ahead, what TRACES-foreseen.tar.xz foresaw is read ahead, at most so many experts for each layer: misses when a layer has chosen, experts read
for each token, and in brackets those read for nothing.
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


def passes(trace):
    """Of a trace that has the same layers in each."""
    _, used = struct.unpack_from("<HH", trace)
    step = 4 + 2 * used
    return sum(trace[place:place + 2] == trace[:2] for place in range(0, len(trace), step))


def replay(program, trace, shares, half_lives, foreseen=None, ahead=0):
    with tempfile.NamedTemporaryFile() as file, tempfile.NamedTemporaryFile() as foreseen_file:
        file.write(MAGIC + trace)
        file.flush()
        options = [option for share in shares for option in ("--share", str(share))]
        options += [option for half_life in half_lives for option in ("--half-life", str(half_life))]
        options += ["--last", str(passes(trace) - passes(trace) // 3)]
        if ahead > 0:
            foreseen_file.write(MAGIC + foreseen)
            foreseen_file.flush()
            options += ["--foreseen", foreseen_file.name, "--ahead", str(ahead)]
        return json.loads(subprocess.run([program, "--json", *options, file.name], check=True, capture_output=True, text=True).stdout)


def name_of(cache):
    return cache["policy"] if cache["policy"] != "heat" else f"heat, {cache['half_life']:g}"


def show_foresight(arguments, shares, groups, archive):
    print(f"\n{os.path.basename(archive)}, the cache's own policy: misses; experts read for each token (for nothing)\n")
    print("| cache | traces | nothing ahead | " + " | ".join(f"at most {ahead}" for ahead in arguments.ahead) + " |")
    print("|---" * (3 + len(arguments.ahead)) + "|")
    for share in shares:
        for name, pairs in groups.items():
            cells = []
            for ahead in [0] + arguments.ahead:
                caches = []
                for trace, foreseen in pairs:
                    result = replay(arguments.program, trace, [share], [], foreseen, ahead)
                    cache = next(cache for cache in result["caches"] if cache["policy"] == "mixture")
                    tokens = passes(trace) - passes(trace) // 3
                    caches.append((1 - cache["hits"] / cache["chosen"], cache["read"] / tokens, cache["wrong"] / tokens))
                misses, read_ones, wrong = (sum(values) / len(caches) for values in zip(*caches))
                cells.append(f"{misses:.3f}; {read_ones:.1f}" + (f" ({wrong:.1f})" if ahead else ""))
            print(f"| {share:.0%} | {name} | " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("archive", nargs="+")
    parser.add_argument("--share", type=float, action="append", help="of all experts that the cache holds; may be repeated (0.1, 0.25, 0.5, 0.75)")
    parser.add_argument("--half-life", type=float, action="append", help="may be repeated (16, 64, 256)")
    parser.add_argument("--ahead", type=int, action="append", help="may be repeated")
    arguments = parser.parse_args()
    shares, half_lives = arguments.share or [0.1, 0.25, 0.5, 0.75], arguments.half_life or [16, 64, 256]
    for archive in arguments.archive:
        traces = read(archive)
        if arguments.ahead:
            foreseen = read(archive.removesuffix(".tar.xz") + "-foreseen.tar.xz")
            pairs = [(trace, foreseen[kind]) for kind, trace in traces.items()]
            show_foresight(arguments, shares, {"kinds, mean": pairs, "in turn": [(in_turn(traces), in_turn(foreseen))]}, archive)
            continue
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
