#!/usr/bin/env python3
"""Measures headrace beside stock llama.cpp, in one run, alternating.

Writes raw rows to RESULTS/*.csv, plots to RESULTS/*.svg, and the tables of docs/benchmarks.md."""

import argparse
import json
import os
import signal
import sys

from harness import machine, report, scenarios
from harness.group import Groups, parse_size
from harness.rows import Rows
from harness.session import Session, Tools

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

ALL_TYPES = ["q4_0", "q4_k", "q6_k", "q8_0"]

EXAMPLES = """scenarios:
  decode    32 tokens in the memory group: stock with mmap, headrace, the read limit; stock all in RAM outside
  prompt    the same for prompts of 512 and 64 tokens
  small     the same model in --small-memory
  passive   a model that fits, and mode off, against stock in pairs
  load      loading and planning sparse files of 4 GB and 400 GB, and the model
  experts   not unless asked for: a mixture of experts: decode beside stock and perfect foresight, with all --budgets, prompts of 1024
  widths    the time of a pass by the number of tokens in it, in the group and all in RAM
  speculation  llama-server with drafts, beside none
  concurrency  headrace serve with 1 to 32 requests at a time, and a newcomer's prompt
  device    not unless asked for: models of 20 GiB with a graphics card, in --device-memory and --vram
  batch     headrace batch in the group, beside stock llama-server all in RAM

examples:
  make bench                                           everything: about two and a half hours, 22 GB of disk
  bench/run.py build/release build/engine --quick      does it work: a few minutes, written to build/bench-quick
  bench/run.py build/release build/engine --only decode --types q4_0
  bench/run.py build/release build/engine --only experts --repetitions 2 --budgets 25,50,100
  bench/run.py build/release build/engine --only widths --types q4_0,q8_0 --repetitions 2
  bench/run.py --report                                tables and plots again from the raw rows

Root is needed for the memory group (cgroup v1 or v2), for emptying the page cache and for setting
read-ahead, which is put back. Without root the runs are not capped and say so."""


def percentages(text):
    """'0,50,100'"""
    values = [int(word) for word in text.split(",")]
    if not all(0 <= value <= 100 for value in values):
        raise argparse.ArgumentTypeError("percentages of the weights, 0 to 100, for instance 25,50,100")
    return sorted(set(values))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", nargs="?", metavar="BUILD_DIR", help="the release build, for instance build/release")
    parser.add_argument("engine", nargs="?", metavar="ENGINE_PREFIX", help="llama.cpp, for instance build/engine")
    parser.add_argument("--only", action="append", choices=[*scenarios.ALL, *scenarios.ONLY_ASKED], metavar="SCENARIO", help="one of them; may be repeated")
    parser.add_argument("--decode-tokens", type=int, help="tokens of a decode run (default 32; experts 64)")
    parser.add_argument("--quick", action="store_true", help="one repetition, few tokens; documentation stays as it is")
    parser.add_argument("--report", action="store_true", help="measure nothing, write tables and plots from the rows")
    parser.add_argument("--repetitions", type=int, help="default 3; of widths and the scenarios after it 1")
    parser.add_argument("--types", type=parse_types, help="of q4_0, q4_k, q6_k, q8_0 (default q4_0,q4_k; widths: all four)")
    parser.add_argument("--preset", default="llama-4g", help="shape of the model (headrace-make-model --help; default llama-4g)")
    parser.add_argument("--memory", type=parse_size, default="2G", help="limit of the memory group (default 2G)")
    parser.add_argument("--weights-ram", type=parse_size, default="1500M", help="headrace's budget for weights in it (default 1500M)")
    parser.add_argument("--small-memory", type=parse_size, default="700M", help="of the scenario small (default 700M)")
    parser.add_argument("--small-ram", type=parse_size, default="350M", help="headrace's budget in it (default 350M)")
    parser.add_argument("--experts-preset", default="moe-5g", help="shape of the scenario experts' model (default moe-5g)")
    parser.add_argument("--device-models", default="mixture,dense", help="of the scenario device (default mixture,dense)")
    parser.add_argument("--device-memory", type=parse_size, default="8G", help="its memory group (default 8G)")
    parser.add_argument("--vram", type=parse_size, default="8G", help="of the card, for it (default 8G)")
    parser.add_argument("--budgets", type=percentages, metavar="PERCENT,…",
                        help="of the scenario experts, of the weights (default 0,10,25,50,75,100)")
    parser.add_argument("--no-mmap", action="store_true", help="leave out stock with mmap in the group: of a mixture it takes most of the time")
    parser.add_argument("--models", metavar="DIR", help="where generated models are kept (default beside BUILD_DIR: bench-models)")
    parser.add_argument("--results", metavar="DIR", help="raw rows and plots (default bench/results)")
    parser.add_argument("--docs", metavar="FILE", help="page whose tables are replaced (default docs/benchmarks.md)")
    arguments = parser.parse_args()
    if not arguments.report and not (arguments.build and arguments.engine):
        parser.error("name BUILD_DIR and ENGINE_PREFIX, or use --report")
    if arguments.repetitions is not None and arguments.repetitions < 1:
        parser.error("--repetitions must be 1 or more")
    return arguments


def parse_types(text):
    types = text.split(",")
    if not set(types) <= set(ALL_TYPES):
        raise argparse.ArgumentTypeError(f"{text}: some of {','.join(ALL_TYPES)}")
    return types


class Settings:
    """How much is measured."""

    def __init__(self, arguments):
        quick = arguments.quick
        self.repetitions = arguments.repetitions or (1 if quick else 3)
        self.mmap = not arguments.no_mmap
        self.types, self.preset = arguments.types or ["q4_0", "q4_k"], arguments.preset
        self.memory_bytes, self.ram_bytes = arguments.memory, arguments.weights_ram
        self.small_memory_bytes, self.small_ram_bytes = arguments.small_memory, arguments.small_ram
        self.decode_tokens = arguments.decode_tokens or (4 if quick else 32)
        self.prompts = [64] if quick else [512, 64]
        self.experts_preset, self.budgets = arguments.experts_preset, arguments.budgets or ((0, 50, 100) if quick else (0, 10, 25, 50, 75, 100))
        self.experts_tokens = arguments.decode_tokens or (8 if quick else 64)
        self.experts_prompt = 64 if quick else 1024
        self.limit_s, self.sweep_s = (1, 0.05) if quick else (6, 0.3)
        self.passive_preset = "tiny" if quick else "mid"
        self.passive_rounds, self.passive_inner = (2, 2) if quick else (12, 5)
        self.sparse_sizes = ["4G", "400G"]
        self.load_rounds = 3 if quick else 9  # the first is cold
        self.device_models = arguments.device_models.split(",")
        self.device_memory_bytes, self.vram_bytes = arguments.device_memory, arguments.vram
        self.device_ram_bytes = arguments.device_memory * 7 // 8
        self.device_prompt, self.device_tokens = (64, 4) if quick else (4096, 48)
        self._sharing(arguments, quick)

    def _sharing(self, arguments, quick):
        """Of the scenarios about more tokens in a pass."""
        self.turns = arguments.repetitions or 1
        self.process_bytes = arguments.memory * 9 // 10  # --ram in the group: what headrace itself would choose there
        self.width_types = arguments.types or (["q4_0"] if quick else ALL_TYPES)
        self.widths, self.width_passes = ([1, 8], 1) if quick else ([1, 2, 4, 8, 16, 32, 64], 2)
        self.draft_preset = "draft-160m"
        self.acceptances, self.draft_lengths = ([0, 0.8], []) if quick else ([0, 0.6, 0.7, 0.8], [3, 7])
        self.speculation_passes = 4 if quick else 24
        self.requests = [1, 4] if quick else [1, 2, 4, 8, 16, 32]
        self.request_prompt, self.request_tokens = (4, 4) if quick else (16, 64)
        self.newcomer_tokens = 64 if quick else 256
        self.batch_requests, self.batch_tokens = (4, 4) if quick else (64, 24)


def interrupted(_number, _frame):
    raise KeyboardInterrupt


def measure(arguments, results, models):
    tools = Tools(arguments.build, arguments.engine)
    groups = Groups()
    if not groups.version:
        print(f"bench: no memory group ({groups.why_not}): runs are NOT capped and their rows say so")
    session = Session(tools, groups, models, Settings(arguments))
    facts = machine.describe(models, session.read_ahead.original, machine.program_version(tools.llama_bench))
    facts["memory group"] = f"cgroup v{groups.version}" if groups.version else f"none ({groups.why_not})"
    os.makedirs(results, exist_ok=True)
    with open(os.path.join(results, "machine.json"), "w") as file:
        json.dump(facts, file, indent=2)
        file.write("\n")
    try:
        for name in arguments.only or scenarios.ALL:
            session.say(f"--- {name}")
            (scenarios.ALL | scenarios.ONLY_ASKED)[name](session, Rows(results, name, scenarios.COLUMNS.get(name)))
    finally:
        session.read_ahead.restore()
    return session.failures


def main():
    arguments = parse_arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    beside_build = os.path.dirname(os.path.abspath(arguments.build)) if arguments.build else os.path.join(ROOT, "build")
    quick_folder = os.path.join(beside_build, "bench-quick")
    results = arguments.results or (quick_folder if arguments.quick else os.path.join(ROOT, "bench", "results"))
    docs = arguments.docs or os.path.join(quick_folder if arguments.quick else os.path.join(ROOT, "docs"), "benchmarks.md")
    models = arguments.models or os.path.join(beside_build, "bench-models")
    failures = 0
    try:
        if not arguments.report:
            failures = measure(arguments, results, models)
        report.write(results, docs)
    except KeyboardInterrupt:
        print("bench: stopped; the rows so far are kept", file=sys.stderr)
        return 130
    except (FileNotFoundError, RuntimeError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"bench: rows and plots in {os.path.relpath(results)}, tables in {os.path.relpath(docs)}")
    if failures:
        print(f"bench: {failures} runs failed; their rows say why", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
