#!/usr/bin/env python3
"""A soak of `headrace serve`: eight clients of mixed behaviour, limits that move, children that are killed. Ends with a report, and with
status 1 when a request was lost, something grew, the budget was broken or the server ended.

Usage: soak.py BUILD ENGINE MINUTES"""

import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time

from harness import soak_clients, soak_watch
from harness.group import Groups

CLIENTS, BUDGET_BYTES, LIMIT_BYTES = 8, 200 << 20, 300 << 20
LIMITS = (150, 300, 110, 200)   # MiB, one after the other


class Disturber:
    """Moves the group's limit and kills the engine's processes, now and then."""

    def __init__(self, group, pid):
        self._group, self._pid, self._random = group, pid, random.Random(1)
        self._next_limit, self._next_kill, self.limits, self.kills, self.refused = 15.0, 25.0, 0, 0, 0

    def step(self, time_s):
        if self._group and time_s >= self._next_limit:
            self._next_limit = time_s + self._random.uniform(5, 20)
            name = "memory.limit_in_bytes" if self._group.version == 1 else "memory.max"
            try:
                with open(self._group.path(name), "w") as file:
                    file.write(str(LIMITS[self.limits % len(LIMITS)] << 20))
            except OSError:
                self.refused += 1   # version 1: more is in use
            self.limits += 1
        if time_s >= self._next_kill:
            self._next_kill = time_s + self._random.uniform(15, 60)
            children = soak_watch.children_of(self._pid)
            if children:
                try:
                    os.kill(self._random.choice(children), signal.SIGKILL)
                    self.kills += 1
                except ProcessLookupError:
                    pass


def start(build, engine, folder, group):
    """The server as a Popen, and its port."""
    import subprocess
    models = os.path.join(folder, "models")
    os.mkdir(models)
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models")
    names = ["austen-dense-q4_0", "austen-moe-q4_0", "austen-draft-f16"]
    for name in names:
        shutil.copy(os.path.join(source, name + ".gguf"), models)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HEADRACE_", "LD_", "LLAMA_", "XDG_"))}
    environment.update(HOME=folder, OMP_WAIT_POLICY="passive")
    with open(os.path.join(folder, "log"), "wb") as log:
        process = subprocess.Popen(
            [os.path.join(build, "src", "headrace"), "serve", "--engine", engine, "--models-dir", models, "--models-max", "2", "--port", "0",
             "--ram", str(BUDGET_BYTES), "--weights-ram", "5M"],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            preexec_fn=group.enter_from_child if group else None, start_new_session=True)
    line = process.stdout.readline().decode()
    port = int(line.rstrip().rstrip("/").rsplit(":", 1)[1].split()[0].split("/")[0])
    threading.Thread(target=lambda: [None for _ in process.stdout], daemon=True).start()
    return process, port, names


def soak(build, engine, minutes, folder, group):
    process, port, names = start(build, engine, folder, group)
    started, samples, violations = time.monotonic(), [], []
    ledger, stop = soak_clients.Ledger(), threading.Event()
    clients = [soak_clients.Client(number, port, names, ledger, stop) for number in range(CLIENTS)]
    disturber = Disturber(group, process.pid)
    try:
        for client in clients:
            client.start()
        while time.monotonic() - started < minutes * 60:
            sample = soak_watch.Sample(process.pid, started)
            if not sample.alive:
                violations.append(f"the server ended after {sample.time_s:.0f} s")
                break
            samples.append(sample)
            disturber.step(sample.time_s)
            time.sleep(1)
        stop.set()
        for client in clients:
            client.join(soak_clients.ANSWER_S + 10)
        if any(client.is_alive() for client in clients):
            violations.append("a client still waits for its answer")
        process.terminate()
        try:
            status = process.wait(60)
            if status not in (0, 128 + signal.SIGTERM, -signal.SIGTERM):
                violations.append(f"the server ended with status {status}")
        except Exception:   # TimeoutExpired
            violations.append("the server does not end")
    finally:
        process.kill()
    lines, more = soak_watch.judge(samples, BUDGET_BYTES, min(600, minutes * 20)) if samples else ([], ["no look at the server"])
    if group and group.figures()["oom_kills"] > 0:
        more.append(f"the kernel killed {group.figures()['oom_kills']} processes for memory")
    violations += more + [f"lost: {text}" for text in ledger.lost[:20]]
    print(f"soak: {minutes:g} minutes, {CLIENTS} clients, {sum(ledger.done.values())} requests answered, {sum(ledger.refused.values())} refused, "
          f"{len(ledger.lost)} lost; {disturber.kills} processes killed, limit moved {disturber.limits} times ({disturber.refused} refused)")
    print("  answered:", ", ".join(f"{count} {name}" for name, count in ledger.done.most_common()))
    print("  refused:", ", ".join(f"{count} {name}" for name, count in ledger.refused.most_common()) or "none")
    for line in lines:
        print("  " + line)
    for violation in violations:
        print("VIOLATION " + violation)
    return violations


def main(arguments):
    if len(arguments) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    build, engine, minutes = arguments[0], arguments[1], float(arguments[2])
    groups = Groups()
    if groups.why_not:
        print(f"soak: without a memory group ({groups.why_not}), so its limit does not move")
    folder = tempfile.mkdtemp(prefix="headrace-soak-")
    group = groups.make(LIMIT_BYTES)
    try:
        if group is None:
            violations = soak(build, engine, minutes, folder, None)
        else:
            with group:
                violations = soak(build, engine, minutes, folder, group)
        if violations:
            with open(os.path.join(folder, "log"), errors="replace") as log:
                print("the server's last lines:\n" + "".join(log.readlines()[-15:]))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
