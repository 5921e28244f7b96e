"""The scenarios: what is compared with what, in which order. Each writes one CSV file."""

import json
import os
import time

from . import batch, child, concurrency, device, machine, speculation, widths
from .session import Variant

STOCK_DEFAULTS = Variant("stock-defaults", once=True, may_die=True)
STOCK_128K = Variant("stock-mmap-128k", repack=0, read_ahead_kib=128)
STOCK_8M = Variant("stock-mmap-8m", repack=0, read_ahead_kib=8192)
HEADRACE = [Variant(f"headrace-{kernels}", streams=True, kernels=kernels) for kernels in ("plain", "repack", "auto")]
RAM_REPACK = Variant("stock-ram-repack", capped=False, repack=1)
RAM_PLAIN = Variant("stock-ram-plain", capped=False, repack=0)


def _turned(variants, repetition):
    """Another order in every repetition, so that nothing profits from its place."""
    shift = repetition % max(1, len(variants))
    return variants[shift:] + variants[:shift]


def _mmap_rivals(session, prompt):
    """Stock in the group. A prompt takes it a minute and needs no warm-up: loading filled the page cache already."""
    if not session.settings.mmap:
        return []
    if not prompt:
        return [STOCK_128K, STOCK_8M]
    return [Variant(v.name, repack=0, read_ahead_kib=v.read_ahead_kib, warmup=False, once=True) for v in (STOCK_128K, STOCK_8M)]


def _streaming(session, rows, path, model, test, memory_bytes, budget_bytes, rivals, in_ram, ours=HEADRACE, discarded=0):
    """Repetitions of: rivals; read limit, headrace, read limit, headrace, …; stock in RAM."""
    def measure(variant, repetition):
        session.llama_bench(rows, variant, path, model, [test], repetition, memory_bytes, budget_bytes, discarded=discarded)

    name = f"{test[0]}{test[1]}"
    for repetition in range(session.settings.repetitions):
        for variant in _turned(rivals, repetition):
            if repetition == 0 or not variant.once:
                measure(variant, repetition)
        session.read_limit(rows, path, model, name, repetition)
        for variant in _turned(ours, repetition):
            measure(variant, repetition)
            session.read_limit(rows, path, model, name, repetition)
        for variant in in_ram:
            if (repetition == 0 or not variant.once) and session.fits_in_memory(path, 2):
                measure(variant, repetition)


def decode(session, rows):
    settings = session.settings
    for kind in settings.types:
        path = session.model(settings.preset, kind)
        _streaming(session, rows, path, kind, ("tg", settings.decode_tokens), settings.memory_bytes, settings.ram_bytes,
                   [STOCK_DEFAULTS] + _mmap_rivals(session, False), [RAM_REPACK, RAM_PLAIN])


def prompt(session, rows):
    settings = session.settings
    for kind in settings.types:
        path = session.model(settings.preset, kind)
        for tokens in settings.prompts:
            ram_plain = Variant(RAM_PLAIN.name, capped=False, repack=0, once=True)
            _streaming(session, rows, path, kind, ("pp", tokens), settings.memory_bytes, settings.ram_bytes,
                       _mmap_rivals(session, True), [RAM_REPACK, ram_plain])


def small(session, rows):
    """The same model in much less memory."""
    settings = session.settings
    path = session.model(settings.preset, settings.types[0])
    rival = Variant(STOCK_8M.name, repack=0, read_ahead_kib=8192, once=True)
    for test in (("tg", max(2, settings.decode_tokens // 2)), ("pp", min(settings.prompts))):
        _streaming(session, rows, path, settings.types[0], test, settings.small_memory_bytes, settings.small_ram_bytes, [rival], [])


def passive(session, rows):
    """Nothing to stream: the library must cost nothing. stock-again is the noise of the comparison itself."""
    settings = session.settings
    path = session.model(settings.passive_preset, "q4_0")
    preload = {"LD_PRELOAD": session.tools.library}
    fits = str(4 * os.path.getsize(path))
    variants = [
        Variant("stock", capped=False),
        Variant("stock-again", capped=False),
        Variant("preloaded", capped=False, environment=preload),
        Variant("mode-off", capped=False, environment={**preload, "HEADRACE_FLASH_MODE": "off", "HEADRACE_WEIGHTS_RAM": "64M"}),
        Variant("model-fits", capped=False, environment={**preload, "HEADRACE_FLASH_MODE": "auto", "HEADRACE_WEIGHTS_RAM": fits}),
    ]
    tests = [("pp", 64), ("tg", 32)]
    for repetition in range(settings.passive_rounds):
        for variant in _turned(variants, repetition):
            session.llama_bench(rows, variant, path, "q4_0", tests, repetition, inner=settings.passive_inner)


def load(session, rows):
    """Loading and planning must not depend on the file's size: sparse files, whose weights are holes. A real model shows
    what is read from disk."""
    settings = session.settings
    preload = {"LD_PRELOAD": session.tools.library, "HEADRACE_FLASH_MODE": "on", "HEADRACE_WEIGHTS_RAM": str(settings.ram_bytes)}
    variants = {
        "engine-metadata": ([session.tools.load_time, "--metadata-only"], {}),
        "headrace-load": ([session.tools.load_time], preload),
    }
    if os.path.exists(session.tools.command):
        variants["headrace-plan"] = ([session.tools.command, "plan", "--weights-ram", str(settings.ram_bytes), "--json"], {})
    paths = {"sparse-" + size: session.model("sparse", "q4_0", "--size", size) for size in settings.sparse_sizes}
    paths[settings.preset] = session.model(settings.preset, settings.types[0])
    for repetition in range(settings.load_rounds):
        for model, path in paths.items():
            for name, (argv, environment) in variants.items():
                _load_once(session, rows, name, argv + [path], environment, model, repetition)


FILLING_TOKENS = 768  # after which few tokens choose an expert for the first time


def experts(session, rows):
    """A mixture of experts: decode in the group beside stock and perfect foresight, decode with other budgets, prompts."""
    settings = session.settings
    model = settings.experts_preset
    path = session.model(model, "q4_0")
    plan = session.plan(path)
    budgets = _budgets(session, plan)
    _say_how_long(session, plan, len(budgets))
    tokens = ("tg", settings.experts_tokens)
    group = (settings.memory_bytes, settings.ram_bytes)
    # A token needs what the tokens before have left in memory: the first repetition fills it and does not count.
    traced = Variant("headrace-auto", streams=True, kernels="auto", traced=True)
    _streaming(session, rows, path, model, tokens, *group, _mmap_rivals(session, False), [RAM_REPACK, RAM_PLAIN], [traced], discarded=1)
    room = settings.memory_bytes - settings.ram_bytes
    variant = Variant("headrace-budget", streams=True, kernels="auto", traced=True)
    for repetition in range(settings.repetitions):
        session.read_limit(rows, path, model, "tg%d" % tokens[1], repetition)
        for budget in _turned(budgets, repetition):
            # A large cache is filled late: until then tokens wait for memory that nobody touched before.
            discarded = 1 if budget == budgets[0] else -(-FILLING_TOKENS // tokens[1])
            session.llama_bench(rows, variant, path, model, [tokens], repetition, budget + room, budget, discarded=discarded)
        session.read_limit(rows, path, model, "tg%d" % tokens[1], repetition)
    plain_and_auto = [v for v in HEADRACE if v.kernels != "repack"]
    _streaming(session, rows, path, model, ("pp", settings.experts_prompt), *group, [], [RAM_REPACK, RAM_PLAIN], plain_and_auto)


def _budgets(session, plan):
    """The shares of the weights that were asked for, ascending. Nothing is the least that headrace accepts, 100 % is everything in memory with
    what it needs beside the weights. Only those that this machine has."""
    floor, weights = plan["smallest_budget_bytes"], plan["model"]["weight_bytes"]
    everything = int(weights * 1.06) + min(96 << 20, weights // 7)  # experts in whole pages, read-ahead, scratch
    budgets = [everything if percent >= 100 else max(floor, weights * percent // 100) for percent in session.settings.budgets]
    fitting = [b for b in budgets if b + session.settings.memory_bytes - session.settings.ram_bytes <= machine.memory_bytes("MemAvailable")]
    if len(fitting) < len(budgets):
        session.say(f"budgets beyond {(fitting or [0])[-1] / 2**30:.1f} GiB skipped: this machine has not so much free memory")
    return fitting


def _say_how_long(session, plan, budgets):
    """A guess from the bytes that a token needs: stock reads them at 0.3 GB/s, a half-filled cache at what amounts to 4 GB/s."""
    settings, token_bytes = session.settings, plan["model"]["active_expert_bytes"] + plan["model"]["managed_bytes"]
    passes = 2 * settings.experts_tokens
    stock = 2 * (5 + passes * token_bytes / 0.3e9) if settings.mmap else 0
    ours = (1 + budgets) * (5 + passes * token_bytes / 4e9)
    in_ram = 2 * (15 + passes * token_bytes / 5e9)
    prompts = 4 * (10 + 2 * settings.experts_prompt / 60)
    limits = 7 * (settings.limit_s + 1)
    seconds = settings.repetitions * (stock + ours + in_ram + prompts + limits)
    session.say(f"{settings.repetitions} x {9 + budgets} runs: about {max(1, round(seconds / 60))} minutes")


def _load_once(session, rows, name, argv, environment, model, repetition):
    # The first round is cold and shows what is read; the others are warm and show the time of the code itself.
    dropped = machine.drop_caches() if repetition == 0 else False
    start = time.monotonic()
    outcome = child.run(argv, environment, timeout_s=300)
    elapsed_ms = (time.monotonic() - start) * 1e3
    printed = {}
    if outcome.status == "ok" and name != "headrace-plan":
        printed = json.loads(outcome.stdout)
    if outcome.status != "ok":
        session.failures += 1
    load_ms = round(printed.get("load_ms", elapsed_ms), 3)
    rows.add(model=model, test="load", repetition=repetition, variant=name, status=outcome.status,
             reason="" if outcome.status == "ok" else outcome.reason, load_ms=load_ms, caches_dropped=int(dropped),
             **{**outcome.figures, **{k: printed[k] for k in ("blocks_read", "major_faults") if k in printed}})
    session.say(f"{model:>11} load {name:<20} {load_ms:9.1f} ms {'' if outcome.status == 'ok' else outcome.reason}")


ALL = {"decode": decode, "prompt": prompt, "small": small, "passive": passive, "load": load,
       "widths": widths.measure, "speculation": speculation.measure, "concurrency": concurrency.measure, "batch": batch.measure}
ONLY_ASKED = {"experts": experts, "device": device.measure}  # make bench-mixture; make bench-device, which needs a graphics card
COLUMNS = {"device": device.COLUMNS, "widths": widths.COLUMNS, "speculation": speculation.COLUMNS, "concurrency": concurrency.COLUMNS, "batch": batch.COLUMNS}
