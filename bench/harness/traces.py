"""The experts that a run chose: which of them were in memory, and which perfect foresight would have had there."""

import json
import re

from . import child
from .group import parse_size

# One or two lines of HEADRACE_DEBUG for each pass. The statistics are sums over the whole run: these tell the passes that
# count from those that filled the cache.
STREAMED = re.compile(r"headrace: pass (\d+): .*; ([\d.]+ \w+) streamed$")
EXPERTS = re.compile(r"headrace: pass (\d+): (\d+) of \d+ experts were in memory, ([\d.]+ \w+) read; ")


def environment(trace):
    return {"HEADRACE_TRACE": trace, "HEADRACE_DEBUG": "1"}


def counted(program, trace, outcome, statistics, passes):
    """Figures of the last passes of a run that made one token in each. On failure outcome says why."""
    measured = _passes(outcome.stderr, passes)
    optimum = _optimum(program, trace, statistics, passes)
    if measured and optimum:
        return {"counted_passes": passes, **measured, **optimum}
    outcome.status, outcome.stderr = "failed", "no trace of its experts" if measured else "no debug line for each pass"
    return {}


def _passes(text, count):
    """Experts found in memory and bytes read, from the debug lines of the last passes."""
    read, hits = {}, {}
    for line in text.splitlines():
        if found := STREAMED.search(line):
            read[int(found[1])] = parse_size(found[2])
        elif found := EXPERTS.search(line):
            hits[int(found[1])] = int(found[2])
            read[int(found[1])] = read.get(int(found[1]), 0) + parse_size(found[3])
    last = sorted(read)[-count:]
    if len(last) < count:
        return {}
    return {"counted_hits": sum(hits.get(number, 0) for number in last), "counted_bytes_read": sum(read[number] for number in last)}


def _optimum(program, trace, statistics, passes):
    """Belady's hits on the same choices with as many bytes of cache."""
    share = min(1.0, statistics.get("expert_cache_bytes", 0) / max(1, statistics.get("expert_bytes", 0)))
    printed = child.run([program, trace, "--json", "--last", str(passes), "--share", repr(share)], timeout_s=300)
    if printed.status != "ok":
        return {}
    replayed = json.loads(printed.stdout)
    best = next(cache for cache in replayed["caches"] if cache["policy"] == "optimum")
    return {"counted_chosen": best["chosen"], "optimum_hits": best["hits"], "optimum_slots": best["slots"],
            "all_experts": replayed["layers"] * replayed["experts"], "popular_share": round(replayed["popular_share"], 4),
            "again_share": round(replayed["again_share"], 4)}
