"""The processes of a soak, looked at once a second: nothing may grow, and the budget holds at each look."""

import os
import time


def _status(pid):
    """Fields of /proc/PID/status; {} when it is gone."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    except OSError:
        return {}


def _kib(status, name):
    return int(status.get(name, "0").split()[0])


def children_of(pid):
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and _status(entry).get("PPid", "").strip() == str(pid):
            found.append(int(entry))
    return found


class Sample:
    def __init__(self, pid, start):
        self.time_s = time.monotonic() - start
        status = _status(pid)
        self.alive = bool(status) and not status.get("State", "Z").startswith("Z")
        try:
            self.descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            self.descriptors = 0
        self.threads, self.rss_kib = _kib(status, "Threads"), _kib(status, "VmRSS")
        # What a budget counts: page cache of mapped files is the kernel's to drop.
        children = [_status(child) for child in children_of(pid)]
        self.children = len(children)
        self.models_kib = sum(_kib(child, "RssAnon") + _kib(child, "RssShmem") for child in children)


# What may differ between two windows of a server that does not grow.
SLACK = {"descriptors": lambda first: first + 24, "threads": lambda first: first + 4, "rss_kib": lambda first: first * 1.15 + 8192}


def judge(samples, budget_bytes, settle_s):
    """(lines of the report, violations). The first window ends at settle_s; the last one is the last third of the rest."""
    lines, violations = [], []
    total = samples[-1].time_s
    first = [s for s in samples if settle_s / 2 <= s.time_s <= settle_s]
    last = [s for s in samples if s.time_s >= settle_s + (total - settle_s) * 2 / 3]
    for name, allowed in SLACK.items():
        before, after = (max((getattr(s, name) for s in window), default=0) for window in (first, last))
        lines.append(f"{name} of the server, most: {before} until {settle_s:.0f} s, {after} at the end")
        if first and last and after > allowed(before):
            violations.append(f"{name} grew from {before} to {after}")
    most = max(s.models_kib for s in samples)
    over = [s for s in samples if s.models_kib * 1024 > budget_bytes]
    lines.append(f"memory of the models, most: {most / 1024:.0f} MiB of {budget_bytes / 2**20:.0f} MiB, over it in {len(over)} of {len(samples)} looks")
    if over:
        violations.append(f"over the budget at {over[0].time_s:.0f} s: {over[0].models_kib / 1024:.0f} MiB")
    return lines, violations
