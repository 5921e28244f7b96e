"""docs/benchmarks.md between its markers, and the plots: everything again from the raw rows."""

import json
import os

from . import batch, concurrency, device, expert_figures, expert_tables, figures, rows as raw, speculation_tables, svg, tables, widths
from .figures import measured

SHARED = {"widths": widths, "speculation": speculation_tables, "concurrency": concurrency, "batch": batch}  # of a pass by several tokens
SCENARIOS = ("decode", "prompt", "small", "passive", "load", "experts", "device", *SHARED)
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
OURS = ["headrace-auto", "headrace-repack", "headrace-plain"]


def write(results, docs):
    """Regenerates the page. A page without markers, or none, gets them at its end."""
    data = {name: raw.load(results, name) for name in SCENARIOS}
    plots = _plots(results, data)
    lines = _machine(results) + _goals(data)
    relative = os.path.relpath(results, os.path.dirname(os.path.abspath(docs)))
    sections = [
        ("Decode", data["decode"], tables.decode_like),
        ("Prompt", data["prompt"], tables.prompt),
        ("Little memory", data["small"], tables.decode_like),
        ("Nothing to stream", data["passive"], tables.passive),
        ("Loading", data["load"], tables.load),
        ("Experts", data["experts"], expert_tables.render),
        ("Graphics card", data["device"], device.render),
    ] + [(name.capitalize(), data[name], scenario.render) for name, scenario in SHARED.items()]
    for heading, rows, render in sections:
        if not rows:
            continue
        lines += [f"### {heading}", ""]
        for plot in plots.get(heading.lower(), []):
            lines += [f"![{heading}]({relative}/{plot})", ""]
        if any(row["status"] == "uncapped" for row in rows):
            lines += ["These runs were **not capped**: no memory group could be made.", ""]
        lines += render(rows)
    if not any(data.values()):
        lines += ["Not measured yet: `make bench`.", ""]
    _replace(docs, "\n".join(lines).rstrip() + "\n")


def _replace(docs, text):
    page = ""
    if os.path.exists(docs):
        with open(docs) as file:
            page = file.read()
    if BEGIN not in page or END not in page:
        page = page.rstrip() + f"\n\n{BEGIN}\n{END}\n"
    head, tail = page.split(BEGIN, 1)[0], page.split(END, 1)[1]
    os.makedirs(os.path.dirname(os.path.abspath(docs)), exist_ok=True)
    temporary = docs + ".new"
    with open(temporary, "w") as file:
        file.write(f"{head}{BEGIN}\n\n{text}\n{END}{tail}")
    os.replace(temporary, docs)


def _machine(results):
    path = os.path.join(results, "machine.json")
    if not os.path.exists(path):
        return []
    with open(path) as file:
        facts = json.load(file)
    return ["### Machine", ""] + tables.table(["", ""], list(facts.items()))


def _best(rows, **wanted):
    """The default kernels' rows, or the next kind that was measured."""
    for name in OURS:
        done = measured(rows, variant=name, **wanted)
        if done:
            return done
    return []


def _goals(data):
    """What the project promised, what was measured, and whether it holds. Measured with default settings."""
    lines = []

    def goal(name, wanted, value, holds):
        lines.append([name, wanted, value, "yes" if holds else "**no**"])

    decode, prompt, small = data["decode"], data["prompt"], data["small"]
    for model in figures.ordered(decode, "model"):
        own = [r for r in decode if r["model"] == model]
        ours = _best(own)
        ratio, share = figures.of_limit(own, ours), figures.own_share(ours)
        rivals = [figures.speeds(measured(own, variant=v)) for v in ("stock-mmap-128k", "stock-mmap-8m")]
        best = max((s.median for s in rivals if s), default=None)
        if ratio:
            goal(f"{model}: decode ÷ read limit", "≥ 0.95", ratio.text("{:.3f}"), ratio.median >= 0.95)
        if ours and best:
            times = figures.speeds(ours).median / best
            goal(f"{model}: decode ÷ best stock mmap", "≥ 2", f"{times:.2f}", times >= 2)
        if share:
            goal(f"{model}: own overhead at decode", "< 2 %", share.text("{:.2%}"), share.median < 0.02)
    for model in figures.ordered(prompt, "model"):
        own = [r for r in prompt if r["model"] == model and r["test"] == "pp512"]
        ratio = figures.paired(_best(own), measured(own, variant="stock-ram-repack"))
        if ratio:
            goal(f"{model}: prompt of 512 ÷ stock in RAM", "≥ 0.95", ratio.text("{:.3f}"), ratio.median >= 0.95)
    expert_tables.goals(data["experts"], goal)
    for name, scenario in SHARED.items():
        scenario.goals(data[name], goal)
    capped = [r for r in measured(decode + prompt + small + data["experts"]) if r["variant"] in OURS and r["peak_bytes"]]
    capped += [r for name in SHARED for r in measured(data[name]) if r["peak_bytes"]]
    for limit in sorted({r["memory_limit_bytes"] for r in capped if r["memory_limit_bytes"]}, reverse=True):
        within = [r for r in capped if r["memory_limit_bytes"] == limit]
        peak, hits = max(r["peak_bytes"] for r in within), max(r["limit_hits"] for r in within)
        goal(f"peak memory in {limit / tables.MIB:.0f} MiB", "below it, no reclaim",
             f"{peak / tables.MIB:.0f} MiB, {hits:.0f} limit hits", peak < limit and hits == 0)
    for model in figures.ordered(data["load"], "model"):
        share = tables.load_share(data["load"], model)
        if share:
            goal(f"{model}: headrace's share of loading", "< 50 ms", share.text("{:.0f}") + " ms", share.median < 50)
    for test in figures.ordered(data["passive"], "test"):
        stock = measured(data["passive"], variant="stock", test=test)
        noise = figures.paired(measured(data["passive"], variant="stock-again", test=test), stock)
        for name in ("preloaded", "mode-off", "model-fits"):
            ratio = figures.paired(measured(data["passive"], variant=name, test=test), stock)
            if ratio:
                goal(f"{name} ÷ stock, {test}", "within 1 %", f"{ratio.median:.4f}", ratio.median >= 0.99)
            if ratio and noise and abs(noise.median - 1) > 0.01:
                lines[-1][-1] = f"unclear: stock ÷ itself is {noise.median:.3f}"
    failed = [r for rows in data.values() for r in rows if r["status"] in ("failed", "timeout")]
    if failed:
        goal("runs that failed", "0", str(len(failed)), False)
    if not lines:
        return []
    return ["### Goals", "", "headrace with its default kernels; medians, and least to greatest where there are several runs.",
            ""] + tables.table(["", "goal", "measured", "holds"], lines)


def _kind(name):
    return "ours" if name.startswith("headrace") else "memory" if "ram" in name else "stock"


def _plots(results, data):
    """Writes the charts; {scenario: [file name]} of those that have data."""
    written = {}

    def write(scenario, name, image):
        written.setdefault(scenario, []).append(name)
        with open(os.path.join(results, name), "w") as file:
            file.write(image)

    for name, note in (("decode", "tokens per second, median; thin line: least to greatest; dashed: the disk's limit for these bytes"),
                       ("prompt", "tokens per second, median; thin line: least to greatest; green: without a memory limit"),
                       ("experts", "tokens per second, median; thin line: least to greatest; dashed: with perfect foresight")):
        rows, groups = data[name], []
        for model in figures.ordered(rows, "model"):
            for test in figures.ordered([r for r in rows if r["model"] == model], "test"):
                own = [r for r in rows if r["model"] == model and r["test"] == test]
                groups.append((tables.title(model, test), [bar for v in tables.variants(own) if (bar := _bar(own, v, name))]))
        if any(bars for _heading, bars in groups):
            write(name, name + ".svg", svg.chart(f"{name.capitalize()} in a memory limit", note, groups))
    if curve := expert_tables.curve(data["experts"]):
        write("experts", "experts-budgets.svg", curve)
    if curve := widths.curve(data["widths"]):
        write("widths", "widths.svg", curve)
    return written


def _bar(own, variant, scenario):
    done = measured(own, variant=variant)
    if not done:
        dead = tables.failure([r for r in own if r["variant"] == variant])
        return svg.Bar(tables.LABELS[variant], _kind(variant), 0, 0, 0, dead)
    speed = figures.speeds(done)
    reach = _reach(own, done, scenario)
    return svg.Bar(tables.LABELS[variant], _kind(variant), speed.median, speed.low, speed.high, "", reach)


def _reach(own, done, scenario):
    """What could be reached, for the dashed line; None where nothing is known."""
    if scenario == "decode":
        limits = figures.spread(figures.limit_tokens_per_s(own, row) for row in done)
    elif scenario == "experts":
        limits = figures.spread(expert_figures.bound(own, row) for row in measured(done, variant=expert_figures.DECODE) if row["counted_passes"])
    else:
        limits = None
    return limits.median if limits else None
