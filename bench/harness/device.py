"""A graphics card as the first tier: models of 20 GiB with 8 GiB of memory and 8 GiB of the card's, beside stock llama.cpp."""

import os

from . import child, figures, machine, rows as raw, tables
from .figures import measured, spread
from .session import Variant

GIB = 2**30
# The rest of what a card has is left to activations and the KV cache.
WEIGHTS_SHARE = 0.9
COLUMNS = [*raw.COLUMNS, "uploaded_bytes", "uploaded_from_memory_bytes", "layers_on_card", "file_bytes", "start_s"]
LABELS = {
    "headrace-card": "headrace, the card",
    "headrace-cpu": "headrace without a card",
    "stock-card": "stock, the card",
    "stock-ram-card": "stock, the card, all in RAM",
}
OURS = Variant("headrace-card", streams=True, kernels="auto")
WITHOUT_CARD = Variant("headrace-cpu", streams=True, kernels="auto")
STOCK = Variant("stock-card", may_die=True, warmup=False)
IN_RAM = Variant("stock-ram-card", capped=False)
SMALL = "austen-dense-q4_0.gguf"
MODELS = {"mixture": ("moe-5g", 64), "dense": ("llama-4g", 170)}


def measure(session, rows):
    settings = session.settings
    if not has_device(session):
        raise RuntimeError("llama.cpp shows no device: llama-bench --list-devices")
    for model in settings.device_models:
        preset, layers = MODELS[model]
        path = session.model(preset, "q4_0", "--layers", str(layers))
        on_card = int(settings.vram_bytes * WEIGHTS_SHARE / (os.path.getsize(path) / layers))
        placed = ["-ngl", "99", "-ncmoe", str(layers - on_card)] if model == "mixture" else ["-ngl", str(on_card)]
        facts = {"layers_on_card": on_card, "file_bytes": os.path.getsize(path)}
        for repetition in range(settings.turns):
            _prompt(session, rows, path, model, placed, facts, repetition)
            _decode(session, rows, path, model, placed, facts, repetition)
        _load(session, rows, path, model, facts)


def has_device(session):
    listed = child.run([session.tools.llama_bench, "--list-devices"], timeout_s=60).stdout
    return any(":" in line for line in listed.split("Available devices:")[-1].splitlines())


def _bench(session, rows, variant, path, model, test, arguments, facts, repetition, discarded=0, limit_s=600):
    settings = session.settings
    session.llama_bench(rows, variant, path, model, [test], repetition, settings.device_memory_bytes, settings.device_ram_bytes,
                        discarded=discarded, arguments=arguments, facts=facts, timeout_s=limit_s)


def _prompt(session, rows, path, model, placed, facts, repetition):
    test = ("pp", session.settings.device_prompt)
    wide = [*placed, "-ub", str(test[1]), "-b", str(test[1])]
    session.read_limit(rows, path, model, f"pp{test[1]}", repetition)
    _bench(session, rows, OURS, path, model, test, wide, facts, repetition)
    session.read_limit(rows, path, model, f"pp{test[1]}", repetition)
    _bench(session, rows, STOCK, path, model, test, wide, facts, repetition)
    if session.fits_in_memory(path, 1.2):
        _bench(session, rows, IN_RAM, path, model, test, wide, facts, repetition)


def _decode(session, rows, path, model, placed, facts, repetition):
    mixture = model == "mixture"
    test = ("tg", session.settings.device_tokens if mixture else 4)
    # A mixture's first tokens fill its cache.
    discarded = 2 if mixture else 0
    session.read_limit(rows, path, model, f"tg{test[1]}", repetition)
    _bench(session, rows, OURS, path, model, test, placed, facts, repetition, discarded)
    _bench(session, rows, WITHOUT_CARD, path, model, test, ["-dev", "none"], facts, repetition, discarded)
    session.read_limit(rows, path, model, f"tg{test[1]}", repetition)
    if session.fits_in_memory(path, 1.2):
        _bench(session, rows, IN_RAM, path, model, test, placed, facts, repetition)
    _bench(session, rows, STOCK, path, model, ("tg", 4), placed, facts, repetition, limit_s=90)


def _load(session, rows, path, model, facts):
    """All layers onto the card: a process from its start to its first token, less what the same takes with a bundled model of 12 MB."""
    def argv(file):
        return [session.tools.llama_bench, "-m", file, "-ngl", "999", "-p", "0", "-n", "1", "-r", "1", "--no-warmup", "-o", "json"]

    limit = session.settings.device_memory_bytes
    session.read_limit(rows, path, model, "load", 0)
    for variant, environment in ((OURS, session.streaming(session.settings.device_ram_bytes)), (STOCK, {})):
        machine.drop_caches()
        started = session.run(argv(os.path.join(session.tools.root, "models", SMALL)), environment, limit)
        machine.drop_caches()
        outcome = session.run(argv(path), environment, limit)
        made = {}
        if outcome.status == started.status == "ok":
            start_s = started.figures["wall_s"]
            made = {"bytes_per_s": round(facts["file_bytes"] / (outcome.figures["wall_s"] - start_s)), "start_s": start_s}
        session.record(rows, outcome, variant, {"model": model, "test": "load", "repetition": 0, "memory_limit_bytes": limit, **facts}, made)


def render(rows):
    """One table for each model: prompts, decode, loading."""
    out = []
    for model in figures.ordered(rows, "model"):
        own = [row for row in rows if row["model"] == model]
        lines = []
        for test in figures.ordered(own, "test"):
            here = [row for row in own if row["test"] == test]
            limit = spread(row["bytes_per_s"] / 1e9 for row in measured(here, variant="limit"))
            for variant, label in LABELS.items():
                done = measured(here, variant=variant)
                tried = [row for row in here if row["variant"] == variant]
                if not tried:
                    continue
                speed = "bytes_per_s" if test == "load" else "tokens_per_s"
                value = spread(row[speed] / (1e9 if test == "load" else 1) for row in done if row[speed])
                text = value.text("{:.2f} GB/s" if test == "load" else "{:.2f}") if value else tables.failure(tried)
                lines.append([test, label, text, *tables.memory_cells(done), limit.text("{:.2f} GB/s") if limit else ""])
        size = max(row["file_bytes"] or 0 for row in own)
        layers = max(row["layers_on_card"] or 0 for row in own)
        out += [f"**{model}**: {size / GIB:.1f} GiB, {layers:.0f} layers' weights on the card", ""]
        out += tables.table(["", "", "tokens/s", "peak memory", "limit hits", "read limit"], lines)
    return out
