#!/usr/bin/env python3
"""Measures a dense model in the memory of two machines against the same model all in the memory of one.

Two memory groups (control groups v1) on this machine stand for two machines; network namespaces are joined by a cable
(veth) whose speed and delay tc limits. Three ways to decode, alternating:

  two       the model in two groups: headrace run --workers, one process in each
  alone     one group: headrace run streams from disk
  whole     no limit: headrace run, all in memory (--flash-mode on, so that the same programs compute and count)

Fairness: both machines share this one's processors, and compute one after the other, never at the same time (layers
follow each other). So each way has the same processors and the same number of threads (--threads)."""

import argparse
import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
IP = shutil.which("ip") or "/usr/sbin/ip"
TC = shutil.which("tc") or "/usr/sbin/tc"
GROUPS = "/sys/fs/cgroup/memory"
HERE, THERE = "headrace-bench-a", "headrace-bench-b"
ADDRESS = {HERE: "10.78.0.1", THERE: "10.78.0.2"}


def run(*words, check=True):
    return subprocess.run(words, check=check, capture_output=True, text=True)


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(str(text))


class Machines:
    """The namespaces, their cable, and a memory group for each."""

    def __init__(self, memory, rate, delay):
        self.remove()
        for space in (HERE, THERE):
            run(IP, "netns", "add", space)
            os.makedirs(f"{GROUPS}/{space}", exist_ok=True)
            write(f"{GROUPS}/{space}/memory.limit_in_bytes", memory)
        run(IP, "-n", HERE, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", THERE)
        self.limited = True
        for space in (HERE, THERE):
            run(IP, "-n", space, "addr", "add", ADDRESS[space] + "/24", "dev", "cable")
            run(IP, "-n", space, "link", "set", "cable", "up")
            limit = run(IP, "netns", "exec", space, TC, "qdisc", "add", "dev", "cable", "root", "netem", "rate", rate, "delay", delay, check=False)
            if limit.returncode != 0:  # no delay then
                limit = run(IP, "netns", "exec", space, TC, "qdisc", "add", "dev", "cable", "root", "tbf", "rate", rate, "burst", "1mb", "latency", "50ms", check=False)
                self.limited = self.limited and limit.returncode == 0

    @staticmethod
    def remove():
        for space in (HERE, THERE):
            run(IP, "netns", "del", space, check=False)
            if os.path.isdir(f"{GROUPS}/{space}"):
                try:
                    os.rmdir(f"{GROUPS}/{space}")
                except OSError as error:
                    print(f"workers: {space}: {error}", file=sys.stderr)

    @staticmethod
    def start(space, words, **more):
        """In the namespace and the group."""
        # The group first: a namespace has a /sys of its own.
        script = f'echo $$ >{GROUPS}/{space}/cgroup.procs && exec "$@"'
        return subprocess.Popen(["sh", "-c", script, "sh", IP, "netns", "exec", space, *words], text=True, **more)

    @staticmethod
    def peak(space):
        with open(f"{GROUPS}/{space}/memory.max_usage_in_bytes", encoding="ascii") as file:
            return int(file.read())


def drop_caches():
    os.sync()
    write("/proc/sys/vm/drop_caches", 3)


def speed(errors):
    """Of the line "decode 1.23 tokens/s over 32 tokens" on standard error; 0 when nothing was said."""
    found = re.findall(r"decode ([0-9.]+) tokens/s", errors)
    return float(found[-1]) if found else 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", metavar="BUILD_DIR", help="the release build, for instance build/release")
    parser.add_argument("--model", metavar="GGUF", help="instead of one that is made (llama-4g, Q4_0)")
    parser.add_argument("--memory", default="2G", help="of each machine (default 2G)")
    parser.add_argument("--rate", default="1gbit", help="of the cable (default 1gbit)")
    parser.add_argument("--delay", default="0.1ms", help="of the cable, each way (default 0.1ms)")
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--ways", default="two,alone,whole")
    parser.add_argument("--verbose", action="store_true", help="also what headrace says")
    parser.add_argument("--results", default=f"{ROOT}/bench/results/workers", metavar="DIR")
    arguments = parser.parse_args()
    if os.geteuid() != 0 or not os.path.isdir(GROUPS):
        print("workers: root and control groups of version 1 (memory) are needed", file=sys.stderr)
        return 77
    memory = int(arguments.memory[:-1]) << {"M": 20, "G": 30}[arguments.memory[-1]]
    command = f"{arguments.build}/src/headrace"
    model = arguments.model or f"{os.path.dirname(os.path.abspath(arguments.build))}/bench-models/llama-4g-q4_0.gguf"
    if not os.path.exists(model):
        os.makedirs(os.path.dirname(model), exist_ok=True)
        run(f"{arguments.build}/bench/headrace-make-model", "--preset", "llama-4g", "--type", "q4_0", model)
    os.makedirs(arguments.results, exist_ok=True)
    budget = f"{(memory - (24 << 20)) >> 20}M"
    base = [command, "run", model, "-p", "Hello", "--raw", "-n", str(arguments.tokens), "--temp", "0", "-c", "512", "-t", str(arguments.threads), "--speculate", "off"]
    ways = {"two": [*base, "--ram", budget, "--workers", ADDRESS[THERE], "--", "--ignore-eos"],
            "alone": [*base, "--ram", budget, "--", "--ignore-eos"],
            "whole": [*base, "--flash-mode", "on", "--ram", "8G", "--", "--ignore-eos"]}
    machines = Machines(memory, arguments.rate, arguments.delay)
    worker = None
    rows = []
    try:
        worker = machines.start(THERE, [command, "worker", "--listen", ADDRESS[THERE], "--ram", budget, "--threads", str(arguments.threads), "--no-cache"],
                                stdout=subprocess.PIPE)
        if not worker.stdout.readline():
            print("workers: the worker did not start", file=sys.stderr)
            return 1
        for repetition in range(arguments.repetitions):
            for way in arguments.ways.split(","):
                drop_caches()
                begin = time.monotonic()
                words = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
                process = subprocess.Popen(ways[way], text=True, **words) if way == "whole" else machines.start(HERE, ways[way], **words)
                errors = process.communicate()[1]
                rows.append({"way": way, "repetition": repetition, "tokens_per_s": speed(errors), "seconds": round(time.monotonic() - begin, 2),
                             "status": process.returncode, "peak_bytes_here": machines.peak(HERE), "peak_bytes_there": machines.peak(THERE),
                             "memory": arguments.memory, "rate": arguments.rate if machines.limited else "none", "delay": arguments.delay,
                             "threads": arguments.threads, "tokens": arguments.tokens, "load": round(os.getloadavg()[0], 1)})
                with open(f"{arguments.results}/decode.csv", "w", encoding="ascii", newline="") as file:
                    table = csv.DictWriter(file, rows[0].keys())
                    table.writeheader()
                    table.writerows(rows)
                print({key: rows[-1][key] for key in ("way", "tokens_per_s", "seconds", "status", "load")}, flush=True)
                if arguments.verbose or process.returncode != 0 or rows[-1]["tokens_per_s"] == 0:
                    print(errors, file=sys.stderr)
    finally:
        if worker is not None:
            worker.send_signal(signal.SIGTERM)
            worker.wait()
        time.sleep(0.5)
        machines.remove()
    return 0


if __name__ == "__main__":
    sys.exit(main())
