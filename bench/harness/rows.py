"""Raw results: one row per measured test of one run, in one CSV file per scenario."""

import csv
import os

WHAT = ["scenario", "model", "test", "repetition", "order", "variant", "status", "reason"]
SYSTEM = ["wall_s", "user_s", "system_s", "major_faults", "max_rss_bytes", "blocks_read",
          "peak_bytes", "limit_hits", "oom_kills", "group_major_faults"]
COLUMNS = [
    *WHAT,
    # its result
    "tokens", "tokens_per_s", "load_ms", "bytes_per_s", "chunk_bytes", "depth",
    # how
    "memory_limit_bytes", "read_ahead_kib", "weights_budget_bytes", "kernels_asked", "threads", "caches_dropped",
    *SYSTEM,
    # what headrace counted (telemetry snapshot)
    "state", "kernels", "direct_io", "budget_bytes", "weight_bytes", "resident_bytes", "resident_target_bytes",
    "streamed_bytes_per_pass", "ring_bytes", "scratch_bytes", "passes", "bytes_read", "reads_failed", "reads_retried",
    "pass_ns", "wait_ns", "kernel_ns", "repack_ns", "own_ns",
    "decode_passes", "decode_ns", "decode_wait_ns", "decode_own_ns", "decode_bytes",
    "expert_bytes", "expert_cache_bytes", "expert_resident_bytes", "experts_chosen", "expert_hits", "expert_bytes_read",
    # of the passes whose speed counts, and the same choices with perfect foresight (traces.py)
    "counted_passes", "counted_chosen", "counted_hits", "counted_bytes_read", "optimum_slots", "optimum_hits",
    "all_experts", "popular_share", "again_share",
]


def columns(*results):
    """Of a scenario whose rows hold little else than its results."""
    return [*WHAT, "tokens_per_s", *results, "memory_limit_bytes", "weights_budget_bytes", "caches_dropped", *SYSTEM]


class Rows:
    """Appends rows of one scenario to FOLDER/SCENARIO.csv as they come, so that an interrupted run keeps them."""

    def __init__(self, folder, scenario, header=None):
        os.makedirs(folder, exist_ok=True)
        self.scenario, self.path, self.count = scenario, os.path.join(folder, scenario + ".csv"), 0
        self.header = header or COLUMNS
        with open(self.path, "w", newline="") as file:
            csv.writer(file).writerow(self.header)

    def add(self, **values):
        self.count += 1
        row = {"scenario": self.scenario, "order": self.count, **values}
        with open(self.path, "a", newline="") as file:
            writer = csv.DictWriter(file, self.header, extrasaction="ignore")
            writer.writerow(row)
        return row


def load(folder, scenario):
    """The rows of a scenario with numbers as floats; [] when it was not measured."""
    path = os.path.join(folder, scenario + ".csv")
    if not os.path.exists(path):
        return []
    with open(path, newline="") as file:
        return [{key: _number(value) for key, value in row.items()} for row in csv.DictReader(file)]


def _number(text):
    if text in ("", None):
        return None
    try:
        return float(text)
    except ValueError:
        return text
