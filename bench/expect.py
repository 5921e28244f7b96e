#!/usr/bin/env python3
"""Writes docs/what-to-expect.md: what `headrace plan` predicts for published models at several sizes of memory and speeds of disks.

Nothing is loaded, and the files are of holes: some megabytes of disk."""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile

from harness import expectation

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

MODELS = [("llama-3.1-8b", "Llama 3.1 8B, Q4_K_M"), ("gpt-oss-20b", "gpt-oss 20b, MXFP4"), ("qwen3-30b-a3b", "Qwen3 30B-A3B, Q4_K_M"),
          ("llama-3.1-70b", "Llama 3.1 70B, Q4_K_M"), ("qwen3-next-80b", "Qwen3-Next 80B-A3B, Q4_K_M"), ("gpt-oss-120b", "gpt-oss 120b, MXFP4"),
          ("glm-4.5-air", "GLM 4.5 Air 106B-A12B, Q4_K_M"), ("deepseek-v3", "DeepSeek V3 671B-A37B, Q4_K_M")]
KINDS = {"popular": ["--layers", "6", "--tokens", "1200"], "drifting": ["--layers", "3", "--tokens", "1200"]}
SHARES = [0.02, 0.05] + [n / 10 for n in range(1, 10)] + [0.95]


def run(words, environment=None):
    return subprocess.run(words, env={**os.environ, **(environment or {})}, capture_output=True, text=True)


def hit_rates(build, folder):
    """(share of the experts in memory, hits) of the cache's own policy, the smaller ones of both kinds of choices; everything at one."""
    lowest = {}
    for kind, options in KINDS.items():
        trace = os.path.join(folder, kind)
        subprocess.run([f"{build}/bench/headrace-make-trace", "--kind", kind, *options, trace], check=True)
        words = [f"{build}/bench/headrace-replay", trace, "--json", "--last", "800"]
        replayed = json.loads(subprocess.run(words + [word for share in SHARES for word in ("--share", str(share))], check=True, capture_output=True).stdout)
        for cache in replayed["caches"]:
            if cache["policy"] == "mixture":
                lowest[cache["share"]] = min(lowest.get(cache["share"], 1), cache["hits"] / cache["chosen"])
    return [(0, 0.0)] + sorted(lowest.items()) + [(1, 1.0)]


class Planner:
    """Asks `headrace plan` about a machine that is given, not this one: its speeds are in a cache folder of our own."""

    def __init__(self, options, folder):
        self._options, self._folder = options, folder
        self._environment = {"XDG_CACHE_HOME": folder, "XDG_CONFIG_HOME": folder}

    def plan(self, model, memory_gb, disk_gb_s):
        """None when the memory is too little."""
        machine = os.path.join(self._folder, "headrace", "machine.json")
        if not os.path.exists(machine):  # this machine's own speeds, under the names of its disk and engine
            first = self._plan(model, memory_gb)
            if not os.path.exists(machine):
                sys.exit(f"headrace plan measured nothing: {first.stderr.strip()}")
        with open(machine, encoding="utf-8") as file:
            profiles = json.load(file)
        for entry in profiles["machines"].values():
            entry.update(disk_bytes_per_s=disk_gb_s * 1e9, memory_bytes_per_s=self._options.memory_speed * 1e9,
                         prompt_flops_per_s=self._options.gflops * 1e9, disturbed=False)
        with open(machine, "w", encoding="utf-8") as file:
            json.dump(profiles, file)
        planned = self._plan(model, memory_gb)
        if planned.returncode != 0:
            print(planned.stderr.strip(), file=sys.stderr)
            return None
        return json.loads(planned.stdout)

    def _plan(self, model, memory_gb):
        budget = f"{int(self.budget_gb(memory_gb) * 1e9)}"
        return run([f"{self._options.build}/src/headrace", "plan", model, "--engine", self._options.engine, "--ram", budget, "--vram", "off", "--no-modelfile",
                    "--speculate", "off", "--prompt-tokens", str(self._options.prompt_tokens), "--json"], self._environment)

    def budget_gb(self, memory_gb):
        return 0.9 * (memory_gb - self._options.system)


def measured_rows(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", help="build folder, for instance build/release")
    parser.add_argument("engine", help="folder of llama.cpp, for instance build/engine")
    parser.add_argument("--models", nargs="+", choices=[preset for preset, _ in MODELS], default=[preset for preset, _ in MODELS], metavar="PRESET")
    parser.add_argument("--memory", type=int, nargs="+", default=[16, 32, 64], help="gigabytes of the machine")
    parser.add_argument("--disk", type=float, nargs="+", default=[3.5, 7], help="GB/s")
    parser.add_argument("--memory-speed", type=float, default=50, help="GB/s of weights that decode reads from memory")
    parser.add_argument("--gflops", type=float, default=400, help="of prompts")
    parser.add_argument("--system", type=float, default=1.5, help="gigabytes that others use")
    parser.add_argument("--prompt-tokens", type=int, default=2048)
    parser.add_argument("--output", default=os.path.join(ROOT, "docs", "what-to-expect.md"))
    options = parser.parse_args()
    options.build, options.engine = os.path.abspath(options.build), os.path.abspath(options.engine)
    with tempfile.TemporaryDirectory(dir=options.build) as folder:
        rates = hit_rates(options.build, folder)
        planner, results = Planner(options, folder), []
        for preset, about in (known for known in MODELS if known[0] in options.models):
            model = os.path.join(folder, preset + ".gguf")
            subprocess.run([f"{options.build}/bench/headrace-make-model", "--preset", preset, "--sparse", "--quiet", model], check=True)
            plans = {memory: {disk: planner.plan(model, memory, disk) for disk in options.disk} for memory in options.memory}
            results.append((about, preset, os.path.getsize(model), plans))
            os.remove(model)
            print(about, file=sys.stderr)
    measured = measured_rows(os.path.join(ROOT, "bench", "results", "published.csv"))
    budgets = ", ".join(f"{planner.budget_gb(memory):.0f} of {memory}" for memory in options.memory)
    page = expectation.PAGE.format(table=expectation.table(results, options.disk, measured, rates), system=options.system, budgets=budgets,
                                   prompt=options.prompt_tokens, gflops=options.gflops, memory=options.memory_speed,
                                   disks=" and ".join(f"{disk:g}" for disk in options.disk))
    with open(options.output, "w", encoding="utf-8") as file:
        file.write(page)


if __name__ == "__main__":
    main()
