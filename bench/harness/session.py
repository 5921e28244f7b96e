"""What every scenario measures with: the programs, the models, and one row per run."""

import json
import os
import tempfile
from dataclasses import dataclass, field

from . import child, machine, traces


@dataclass(frozen=True)
class Variant:
    """One of the things that are compared."""

    name: str
    streams: bool = False          # headrace with a budget: must end up streaming
    capped: bool = True            # in the memory group
    repack: int | None = None      # llama-bench --repack; None: its default
    kernels: str = ""              # HEADRACE_KERNELS
    read_ahead_kib: int | None = None  # None: as the machine has it
    warmup: bool = True
    once: bool = False             # first repetition only: slow, and compared with nothing in pairs
    may_die: bool = False          # being killed is a result
    traced: bool = False           # the experts that it chose are replayed with perfect foresight
    environment: dict = field(default_factory=dict, hash=False)


class Tools:
    """Paths of the programs. Raises FileNotFoundError with what to do."""

    def __init__(self, build, engine):
        self.root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        self.library = self.need(os.path.join(build, "src", "libheadrace.so"), "make all")
        self.command = os.path.join(build, "src", "headrace")
        for name in ("make-model", "read-limit", "snapshot-json", "load-time", "replay"):
            path = self.need(os.path.join(build, "bench", "headrace-" + name), "make all")
            setattr(self, name.replace("-", "_"), path)
        folders = [os.path.join(engine, "usr", "bin"), os.path.join(engine, "bin")]
        self.engine = next((f for f in folders if os.path.exists(os.path.join(f, "llama-bench"))), folders[0])
        for name in ("llama-bench", "llama-batched-bench", "llama-server"):
            path = self.need(os.path.join(self.engine, name), "scripts/install-engine.sh, or name llama.cpp's prefix")
            setattr(self, name.replace("-", "_"), path)
        help_text = child.run([self.llama_bench, "--help"], timeout_s=60).stdout
        self.has_repack = "--repack" in help_text
        self.mmap_options = ["--load-mode", "mmap"] if "--load-mode" in help_text else ["-mmp", "1"]

    @staticmethod
    def need(path, remedy):
        if not os.path.exists(path):
            raise FileNotFoundError(f"{path} is missing: {remedy}")
        return os.path.abspath(path)


class Session:
    """Runs variants and writes their rows. One per benchmark run, single-threaded."""

    def __init__(self, tools, groups, models_folder, settings):
        self.tools, self.groups, self.models_folder, self.settings = tools, groups, models_folder, settings
        os.makedirs(models_folder, exist_ok=True)
        self.read_ahead = machine.ReadAhead(models_folder)
        self.failures = 0
        self._shapes = {}  # model path -> swept read limit

    # Models

    def model(self, preset, kind, *options):
        """The path of a generated model, written when it is not there."""
        name = "-".join([preset, kind] + [o.lstrip("-") for o in options]) + ".gguf"
        path = os.path.join(self.models_folder, name)
        if not os.path.exists(path):
            self.say(f"writing {name}")
            made = child.run([self.tools.make_model, "--preset", preset, "--type", kind, *options, path])
            if made.status != "ok":
                raise RuntimeError(f"no model: {made.reason}")
        return path

    def plan(self, path, *options, environment=None):
        """What `headrace plan` says about a model."""
        self.tools.need(self.tools.command, "make all")
        printed = child.run([self.tools.command, "plan", "--flash-mode", "on", "--weights-ram", str(self.settings.ram_bytes), "--json",
                             *options, path], environment)
        if printed.status != "ok":
            raise RuntimeError(f"no plan: {printed.reason}")
        return json.loads(printed.stdout)

    # Output

    def say(self, line):
        print(f"bench: {line}", flush=True)

    def record(self, rows, outcome, variant, common, expected):
        """One row of a run: what was compared, what the system counted, and what came out."""
        status = outcome.status
        if status not in ("ok", "uncapped") and not (status == "oom-killed" and variant.may_die):
            self.failures += 1
        label = f"{common['model']:>6} {common['test']:>6} {variant.name:<20}"
        reason = "" if status in ("ok", "uncapped") else outcome.reason
        row = rows.add(variant=variant.name, status=status, reason=reason, **common, **outcome.figures, **expected)
        value = status
        if "tokens_per_s" in expected:
            value = f"{expected['tokens_per_s']:9.3f} t/s"
        elif "bytes_per_s" in expected:
            value = f"{expected['bytes_per_s'] / 1e9:9.3f} GB/s"
        peak = f"  peak {outcome.figures['peak_bytes'] / 2**20:.0f} MiB" if "peak_bytes" in outcome.figures else ""
        self.say(f"{label} {value}{peak}{'  ' + reason if reason else ''}")
        return row

    # Runs

    def llama_bench(self, rows, variant, path, model, tests, repetition, limit_bytes=0, budget_bytes=0, inner=1, discarded=0,
                    arguments=(), facts=None, timeout_s=None):
        """llama-bench in a process of its own; tests are ('pp', 512) or ('tg', 32). One row each. The median of `inner`
        repetitions counts, after `discarded` ones that fill caches. `arguments` are llama-bench's, `facts` columns of the rows."""
        argv = [self.tools.llama_bench, "-m", path, "-r", str(discarded + inner), "-o", "json", *self.tools.mmap_options]
        prompts = [str(n) for kind, n in tests if kind == "pp"] or ["0"]
        decodes = [str(n) for kind, n in tests if kind == "tg"] or ["0"]
        argv += ["-p", ",".join(prompts), "-n", ",".join(decodes), *arguments]
        if variant.repack is not None and self.tools.has_repack:
            argv += ["--repack", str(variant.repack)]
        if not variant.warmup:
            argv.append("--no-warmup")
        capped = variant.capped and limit_bytes > 0
        if variant.read_ahead_kib is not None and not self.read_ahead.set(variant.read_ahead_kib):
            self.say(f"{variant.name}: cannot set read-ahead; skipped")
            return
        dropped = machine.drop_caches() if capped else False
        with tempfile.TemporaryDirectory(prefix="headrace-bench-") as scratch:
            environment, snapshot, trace = dict(variant.environment), os.path.join(scratch, "snapshot"), os.path.join(scratch, "trace")
            if variant.streams:
                environment.update(self.streaming(budget_bytes, HEADRACE_KERNELS=variant.kernels, HEADRACE_SNAPSHOT=snapshot))
                if path in self._shapes:
                    environment["HEADRACE_DISK"] = str(int(self._shapes[path]["bytes_per_s"]))
            if variant.traced:
                environment.update(traces.environment(trace))
            try:
                outcome = self.run(argv, environment, limit_bytes if capped else 0, timeout_s)
            finally:
                self.read_ahead.restore()
            counted = self._snapshot(snapshot) if variant.streams else {}
            if variant.traced and outcome.status == "ok":
                counted.update(traces.counted(self.tools.replay, trace, outcome, counted, inner * sum(n for _kind, n in tests)))
        if variant.streams and outcome.status == "ok" and not (counted.get("streamed_bytes_per_pass") or counted.get("expert_bytes")):
            outcome.status, outcome.stderr = "failed", "it did not stream: " + outcome.reason
        how = self.how(outcome, limit_bytes if capped else 0, budget_bytes if variant.streams else 0, dropped)
        results = self._parse(outcome, discarded)
        for kind, count in tests:
            result = results.get((kind, count), {})
            common = {"model": model, "test": f"{kind}{count}", "repetition": repetition, **how, **(facts or {}),
                      "read_ahead_kib": variant.read_ahead_kib or self.read_ahead.original or "", "kernels_asked": variant.kernels}
            counters = {k: v for k, v in counted.items() if k not in ("process_id", "models", "model", "last_error")}
            self.record(rows, outcome, variant, common, {**counters, **result})

    def streaming(self, budget_bytes, **more):
        """The environment of a program that streams within a budget for weights."""
        return {"LD_PRELOAD": self.tools.library, "HEADRACE_FLASH_MODE": "on", "HEADRACE_WEIGHTS_RAM": str(budget_bytes),
                "HEADRACE_REMEMBER": "0", **more}

    def run(self, argv, environment=None, limit_bytes=0, timeout_s=None):
        """A program to its end, in a memory group when there is a limit."""
        group = self.groups.make(limit_bytes)
        limits = {} if timeout_s is None else {"timeout_s": timeout_s}
        if group is None:
            return child.run(argv, environment, **limits)
        with group:
            return child.run(argv, environment, group, **limits)

    def _snapshot(self, path):
        if not os.path.exists(path):
            return {}
        printed = child.run([self.tools.snapshot_json, path], timeout_s=30)
        return json.loads(printed.stdout) if printed.status == "ok" else {}

    @staticmethod
    def _parse(outcome, discarded):
        """{(kind, count): figures} of llama-bench's JSON; the median over its inner repetitions that count."""
        results = {}
        try:
            printed = json.loads(outcome.stdout) if outcome.stdout.strip() else []
        except json.JSONDecodeError:
            printed = []  # killed in the middle
        for test in printed:
            kind, count = ("pp", test["n_prompt"]) if test["n_prompt"] else ("tg", test["n_gen"])
            samples = sorted(test["samples_ns"][discarded:])
            middle = (samples[(len(samples) - 1) // 2] + samples[len(samples) // 2]) / 2
            results[(kind, count)] = {"tokens": count, "tokens_per_s": round(count * 1e9 / middle, 5),
                                      "threads": test.get("n_threads", "")}
        return results

    def read_limit(self, rows, path, model, test, repetition):
        """The same bytes read with O_DIRECT and nothing else, in the best shape of one sweep per model."""
        if path not in self._shapes:
            swept = child.run([self.tools.read_limit, "--json", "--seconds", "1", "--sweep-seconds",
                               str(self.settings.sweep_s), path])
            if swept.status != "ok":
                raise RuntimeError(f"no read limit: {swept.reason}")
            self._shapes[path] = json.loads(swept.stdout)
        shape = self._shapes[path]
        machine.drop_caches()
        outcome = child.run([self.tools.read_limit, "--json", "--chunk", str(shape["chunk_bytes"]), "--depth",
                             str(shape["depth"]), "--seconds", str(self.settings.limit_s), path])
        figures = json.loads(outcome.stdout) if outcome.status == "ok" else {}
        self.record(rows, outcome, Variant("limit"), {"model": model, "test": test, "repetition": repetition},
                     {k: figures[k] for k in ("bytes_per_s", "chunk_bytes", "depth") if k in figures})

    def how(self, outcome, limit_bytes, budget_bytes=0, dropped=False):
        """Columns of a run's limits. A run that should have had a limit and could not is marked."""
        if limit_bytes and not self.groups.version and outcome.status == "ok":
            outcome.status = "uncapped"
        return {"memory_limit_bytes": limit_bytes if limit_bytes and self.groups.version else "",
                "weights_budget_bytes": budget_bytes or "", "caches_dropped": int(dropped)}

    def fits_in_memory(self, path, copies):
        needed = os.path.getsize(path) * copies + (2 << 30)
        if machine.memory_bytes("MemAvailable") >= needed:
            return True
        self.say(f"stock in RAM skipped: it needs {needed / 2**30:.0f} GiB of free memory")
        return False
