"""The scenario widths: the time of a pass by the number of tokens in it, streaming in the group and stock all in RAM."""

import json
import re
from statistics import median

from . import curves, figures, machine, rows as raw, tables
from .figures import measured, spread
from .session import Variant

COLUMNS = raw.columns("width", "pass_ms", "wait_ms", "kernel_ms", "repack_ms")
OURS, IN_RAM = Variant("headrace-auto", streams=True, kernels="auto"), Variant("stock-ram-repack", capped=False)
LAYERS = {("llama-4g", "q6_k"): 22, ("llama-4g", "q8_0"): 16}  # of a type with more bytes for a weight: again about 4 GB
PASS = re.compile(r"headrace: pass \d+: (\d+) columns, [\d.]+ ms: ([\d.]+) waiting for the disk, ([\d.]+) in kernels \(([\d.]+) repacking\)")
GOALS = {8: 1.25, 16: 1.6}  # a pass of this width over a pass of one, for Q4_0
KINDS = ("first", "second", "third", "fourth")


def measure(session, rows):
    settings = session.settings
    for kind in settings.width_types:
        layers = LAYERS.get((settings.preset, kind))
        path = session.model(settings.preset, kind, *(["--layers", str(layers)] if layers else []))
        variants = [OURS, IN_RAM] if session.fits_in_memory(path, 2) else [OURS]
        for turn in range(settings.turns):
            for variant in variants if turn % 2 == 0 else variants[::-1]:
                _run(session, rows, variant, path, kind, turn)


def _run(session, rows, variant, path, model, turn):
    """llama-batched-bench: for each width a prompt of one token for each sequence, which does not count, then passes that do."""
    settings = session.settings
    # Goals compare narrow passes, which must not depend on how the disk's speed drifts: each is measured twice, apart.
    narrow = [width for width in settings.widths if width <= 16]
    widths = (narrow if variant.streams else []) + settings.widths
    argv = [session.tools.llama_batched_bench, "-m", path, "-c", "768", "-kvu", "-npp", "1", "-ntg", str(settings.width_passes),
            "-npl", ",".join(map(str, widths)), "--output-format", "jsonl"]
    limit, budget, environment, dropped = 0, 0, {}, False
    if variant.streams:
        limit, budget = settings.memory_bytes, settings.ram_bytes
        environment = session.streaming(budget, HEADRACE_KERNELS=variant.kernels, HEADRACE_DEBUG="1")
        argv += session.tools.mmap_options
        dropped = machine.drop_caches()
    outcome = session.run(argv, environment, limit)
    account = _account(outcome.stderr)
    if variant.streams and outcome.status == "ok" and not account:
        outcome.status, outcome.stderr = "failed", "it did not stream: " + outcome.reason
    how = session.how(outcome, limit, budget, dropped)
    for line in [json.loads(text) for text in outcome.stdout.splitlines() if text.startswith("{")] or [{}]:
        result = {"width": line["pl"], "pass_ms": round(1e3 * line["t_tg"] / line["tg"], 3), "tokens_per_s": line["speed_tg"],
                  **account.get(line["pl"], {})} if line else {}
        session.record(rows, outcome, variant, {"model": model, "test": f"w{line.get('pl', '')}", "repetition": turn, **how}, result)


def _account(text):
    """{width: where the time of its passes went}, from the library's debug lines. The first pass of all loads weights."""
    found = {}
    for passed in list(PASS.finditer(text))[1:]:
        found.setdefault(int(passed[1]), []).append([float(part) for part in passed.groups()[1:]])
    return {width: dict(zip(("wait_ms", "kernel_ms", "repack_ms"), map(median, zip(*parts)))) for width, parts in found.items()}


def ratios(rows, model, variant, width):
    """A pass of this width over a pass of one in the same process; None where one is missing."""
    def passes(wanted, turn):
        return [row["pass_ms"] for row in measured(rows, model=model, variant=variant, width=wanted, repetition=turn)]
    turns = [(passes(width, turn), passes(1, turn)) for turn in dict.fromkeys(row["repetition"] for row in rows)]
    return spread(median(wide) / median(one) for wide, one in turns if wide and one)


def _widths(rows):
    return sorted({int(row["width"]) for row in measured(rows) if row["width"]})


def render(rows):
    out, widths = [], _widths(rows)
    for model in figures.ordered(rows, "model"):
        lines = []
        for variant, label in (("headrace-auto", "headrace in the group"), ("stock-ram-repack", "stock, all in RAM")):
            def middle(column, form, width, variant=variant):
                values = spread(row[column] for row in measured(rows, model=model, variant=variant, width=width))
                return (form if callable(form) else form.format)(values.median) if values else ""
            if not measured(rows, model=model, variant=variant):
                failed = [row for row in rows if row["model"] == model and row["variant"] == variant]
                lines += [[label, tables.failure(failed)] + [""] * (len(widths) - 1)] if failed else []
                continue
            lines.append([f"{label}, ms for a pass"] + [middle("pass_ms", "{:.0f}", width) for width in widths])
            lines.append(["÷ a pass of one"] + [tables.text(ratios(rows, model, variant, width)) for width in widths])
            if variant == "headrace-auto":
                lines.append(["waiting for the disk, ms"] + [middle("wait_ms", "{:.0f}", width) for width in widths])
                lines.append(["repacking, ms"] + [middle("repack_ms", "{:.0f}", width) for width in widths])
            lines.append(["tokens/s"] + [middle("tokens_per_s", figures.digits, width) for width in widths])
        out += [f"**{str(model).upper()}, tokens in a pass**", ""] + tables.table([""] + [str(width) for width in widths], lines)
    return out


def goals(rows, goal):
    for width, most in GOALS.items():
        ratio = ratios(rows, "q4_0", "headrace-auto", width)
        if ratio:
            goal(f"q4_0: a pass of {width} tokens ÷ a pass of one", f"≤ {most}", ratio.text(), ratio.median <= most)


def curve(rows):
    """The SVG of ratios over widths, one line for each type; "" without runs."""
    widths, models, plots = _widths(rows), figures.ordered(rows, "model"), []
    for variant, label in (("headrace-auto", "headrace in the group"), ("stock-ram-repack", "stock, all in RAM")):
        lines = []
        for kind, model in zip(KINDS, models):
            points = [(i / max(1, len(widths) - 1), ratio) for i, width in enumerate(widths) if (ratio := ratios(rows, model, variant, width))]
            lines += [curves.Line(str(model).upper(), kind, points)] if points else []
        plots += [curves.Plot(f"{label}: a pass over a pass of one token", lines, [])] if lines else []
    return curves.page("The time of a pass by the tokens in it", "median; one line for each type of weights", plots, widths) if plots else ""
