"""Markdown tables of docs/benchmarks.md, one function per scenario, all from the raw rows."""

from statistics import median

from . import figures
from .figures import measured, spread

LABELS = {
    "stock-defaults": "stock, default options",
    "stock-mmap-128k": "stock, mmap, read-ahead 128 KiB",
    "stock-mmap-8m": "stock, mmap, read-ahead 8 MiB",
    "headrace-plain": "headrace, plain kernels",
    "headrace-repack": "headrace, repacked kernels",
    "headrace-auto": "headrace, default (auto)",
    "stock-ram-repack": "stock, all in RAM",
    "stock-ram-plain": "stock, all in RAM, --repack 0",
}
MIB, GB = 2**20, 1e9


def table(header, rows):
    if not rows:
        return []
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows] + [""]


def variants(rows):
    present = set(figures.ordered(rows, "variant"))
    return [name for name in LABELS if name in present]


def text(value, form="{:.2f}"):
    return value.text(form) if value else ""


def failure(rows):
    statuses = figures.ordered(rows, "status")
    words = {"oom-killed": "killed: out of memory", "timeout": "did not finish", "failed": "failed"}
    return words.get(statuses[0], statuses[0]) if statuses else ""


def memory_cells(done):
    peak = spread(row["peak_bytes"] / MIB for row in done if row["peak_bytes"])
    hits = spread(row["limit_hits"] for row in done if row["limit_hits"] is not None)
    return [f"{peak.high:.0f} MiB" if peak else "", f"{hits.high:.0f}" if hits else ""]


def decode_like(rows, models=None):
    """Decode: absolute speed, the read limit, memory, own overhead."""
    out = []
    for model in models or figures.ordered(rows, "model"):
        for test in figures.ordered([r for r in rows if r["model"] == model], "test"):
            own = [r for r in rows if r["model"] == model and r["test"] == test]
            rivals = [figures.speeds(measured(own, variant=v)) for v in ("stock-mmap-128k", "stock-mmap-8m")]
            best = max((s.median for s in rivals if s), default=None)
            lines = []
            for name in variants(own):
                done, ours = measured(own, variant=name), name.startswith("headrace")
                if not done:
                    lines.append([LABELS[name], failure([r for r in own if r["variant"] == name])] + [""] * 7)
                    continue
                speed = figures.speeds(done)
                streamed = spread(row["streamed_bytes_per_pass"] for row in done) if ours else None
                lines.append([
                    LABELS[name], text(speed, figures.digits),
                    text(figures.of_limit(own, done), "{:.3f}") if ours and test.startswith("tg") else "",
                    f"{speed.median / best:.2f}" if ours and best else "",
                    f"{streamed.median / GB:.2f} GB" if streamed else "",
                    *memory_cells(done),
                    f"{median(r['major_faults'] for r in done):.0f}",
                    text(figures.own_share(done), "{:.2%}") if ours and test.startswith("tg") else "",
                ])
            limit = spread(r["bytes_per_s"] / GB for r in measured(own, variant="limit"))
            out += [f"**{title(model, test)}**" + (f" (read limit {text(limit)} GB/s)" if limit else ""), ""]
            out += table(["", "tokens/s", "÷ limit", "÷ best stock mmap", "streamed per pass", "peak memory",
                          "limit hits", "major faults", "own overhead"], lines)
    return out


def title(model, test):
    kind = "decode" if test.startswith("tg") else "prompt"
    return f"{str(model).upper()}, {kind}, {test[2:]} tokens"


def prompt(rows):
    out = []
    for model in figures.ordered(rows, "model"):
        tests = figures.ordered([r for r in rows if r["model"] == model], "test")
        lines = []
        for name in variants([r for r in rows if r["model"] == model]):
            cells = [LABELS[name]]
            for test in tests:
                own = [r for r in rows if r["model"] == model and r["test"] == test]
                done, memory = measured(own, variant=name), measured(own, variant="stock-ram-repack")
                cells.append(text(figures.speeds(done), figures.digits) if done else failure([r for r in own if r["variant"] == name]))
                ratio = figures.paired(done, memory) if name != "stock-ram-repack" else None
                cells.append(text(ratio, "{:.3f}"))
            everything = [r for r in measured(rows, model=model, variant=name)]
            lines.append(cells + memory_cells(everything))
        header = [""]
        for test in tests:
            header += [f"{test[2:]} tokens, tokens/s", "÷ stock in RAM"]
        out += [f"**{str(model).upper()}, prompt**", ""] + table(header + ["peak memory", "limit hits"], lines)
    return out


def passive(rows):
    lines = []
    labels = {"stock-again": "stock again (the noise of this comparison)", "preloaded": "preloaded, nothing configured",
              "mode-off": "preloaded, mode off", "model-fits": "preloaded, model fits the budget"}
    tests = figures.ordered(rows, "test")
    for name, label in labels.items():
        cells = [label]
        for test in tests:
            ratio = figures.paired(measured(rows, variant=name, test=test), measured(rows, variant="stock", test=test))
            cells.append(f"{ratio.median:.4f} ({ratio.low:.3f}–{ratio.high:.3f})" if ratio else "")
        lines.append(cells)
    return table([""] + [("decode" if t.startswith("tg") else "prompt") + " ÷ stock" for t in tests], lines)


def load(rows):
    labels = {"engine-metadata": "the engine's own work (no weights, without headrace)",
              "headrace-load": "loading with headrace", "headrace-plan": "`headrace plan`"}
    models = figures.ordered(rows, "model")
    lines = []
    for name, label in labels.items():
        cells = [label]
        for model in models:
            done = warm(rows, name, model)
            cells.append(text(spread(r["load_ms"] for r in done), "{:.0f}") + " ms" if done else "")
        if any(cells[1:]):
            lines.append(cells)
    share = ["headrace's share (difference in pairs)"]
    for model in models:
        cost = load_share(rows, model)
        share.append(text(cost, "{:.0f}") + " ms" if cost else "")
    read = []
    for name, label in (("engine-metadata", "by the engine's own work"), ("headrace-load", "by loading with headrace")):
        read.append([f"read from disk {label}, page cache empty"])
        for model in models:
            cold = [r["blocks_read"] * 512 / 1024 for r in measured(rows, variant=name, model=model) if r["caches_dropped"]]
            read[-1].append(f"{max(cold):.0f} KiB" if cold else "")
    return table([""] + [str(m) for m in models], lines + [share] + read)


def warm(rows, variant, model):
    return [r for r in measured(rows, variant=variant, model=model) if not r["caches_dropped"]]


def load_share(rows, model):
    engine = {r["repetition"]: r["load_ms"] for r in warm(rows, "engine-metadata", model)}
    return spread(r["load_ms"] - engine[r["repetition"]] for r in warm(rows, "headrace-load", model) if r["repetition"] in engine)
