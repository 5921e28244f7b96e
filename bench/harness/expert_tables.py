"""Tables, goals and plots of the scenario experts."""

from statistics import median

from . import curves, expert_figures as experts, figures, tables
from .figures import measured, spread
from .tables import GB, text


def render(rows):
    out = []
    for model in figures.ordered(rows, "model"):
        own = [row for row in rows if row["model"] == model]
        out += _decode(own, model) + _budgets(own, model) + tables.prompt(experts.prompt_rows(own))
    return out


def _expert_cells(done):
    """Hits, Belady's hits, ÷ Belady, read per token and what Belady's cache would read."""
    if not done:
        return [""] * 4
    def middle(function):
        return median(function(row) for row in done)
    return [f"{middle(experts.hits):.1%}", f"{middle(experts.optimum_hits):.1%}", text(experts.of_optimum(done), "{:.3f}"),
            f"{figures.digits(middle(experts.bytes_per_token) / 1e6)} ({figures.digits(middle(experts.optimum_bytes_per_token) / 1e6)}) MB"]


def _decode(rows, model):
    rows = experts.decode_rows(rows)
    lines = []
    for name in tables.variants(rows):
        runs = [row for row in rows if row["variant"] == name]
        done, ours = measured(rows, variant=name), measured(rows, variant=name) if name == experts.DECODE else []
        lines.append([tables.LABELS[name], text(experts.of_bound(rows, ours), "{:.3f}"), text(experts.times_stock(rows, ours)),
                      text(figures.speeds(done), figures.digits) if done else tables.failure(runs),
                      text(spread(experts.bound(rows, row) for row in ours), figures.digits),
                      *_expert_cells(ours), *tables.memory_cells(done)])
    everything = experts.by_budget(rows)[-1:]
    lines += [["headrace, largest budget", "", "", text(b.speed, figures.digits), "", *_expert_cells(b.rows), *tables.memory_cells(b.rows)]
              for b in everything]
    if not lines:
        return []
    limit = spread(row["bytes_per_s"] / GB for row in measured(rows, variant="limit"))
    test = figures.ordered(rows, "test")[0]
    header = ["", "÷ bound", "÷ best stock mmap", "tokens/s", "bound, tokens/s", "hits", "Belady's hits", "÷ Belady", "read per token (Belady)",
              "peak memory", "limit hits"]
    return ([f"**{tables.title(model, test)}**" + (f" (read limit {text(limit)} GB/s)" if limit else ""), ""]
            + tables.table(header, lines) + _skew(measured(rows, variant=experts.DECODE)))


def _skew(ours):
    """What the routers' choices look like."""
    if not ours:
        return []
    row = ours[-1]
    return [f"{row['popular_share']:.0%} of the choices fall on a layer's most popular fifth of experts, {row['again_share']:.0%} are those "
            f"of the token before. The cache has room for {row['optimum_slots']:.0f} of {row['all_experts']:.0f} experts.", ""]


def _budgets(rows, model):
    budgets = experts.by_budget(rows)
    lines = []
    for budget, ratio in zip(budgets, experts.of_smaller(budgets)):
        lines.append([f"{figures.digits(budget.bytes / tables.MIB)} MiB", f"{budget.share:.1%}", f"{ratio:.3f}" if ratio else "",
                      text(experts.of_bound(rows, budget.rows), "{:.3f}"), text(budget.speed, figures.digits),
                      *_expert_cells(budget.rows), *tables.memory_cells(budget.rows)])
    if not lines:
        return []
    header = ["budget", "of the weights", "÷ fastest smaller budget", "÷ bound", "tokens/s", "hits", "Belady's hits", "÷ Belady",
              "read per token (Belady)", "peak memory", "limit hits"]
    return [f"**{str(model).upper()}, decode with other budgets**", ""] + tables.table(header, lines)


def goals(rows, goal):
    """Calls goal(name, wanted, value, holds) for what can be said."""
    for model in figures.ordered(rows, "model"):
        own = [row for row in rows if row["model"] == model]
        decode, prompt = experts.decode_rows(own), experts.prompt_rows(own)
        ours = measured(decode, variant=experts.DECODE)
        in_ram = measured(prompt, variant="stock-ram-repack")
        for name, least, ratio in (
                ("decode ÷ bound", 0.85, experts.of_bound(decode, ours)),
                ("decode ÷ best stock mmap", 2, experts.times_stock(decode, ours)),
                ("hits ÷ Belady's", 0.9, experts.of_optimum(ours)),
                ("prompt ÷ stock in RAM", 0.85, figures.paired(measured(prompt, variant="headrace-auto"), in_ram))):
            if ratio:
                goal(f"{model}: {name}", f"≥ {least}", ratio.text("{:.3f}"), ratio.median >= least)
        budgets = experts.by_budget(decode)
        if len(budgets) > 1:
            worst, noise = min(experts.of_smaller(budgets)[1:]), experts.noise(budgets)
            goal(f"{model}: {len(budgets)} budgets, each ÷ the fastest smaller one", f"≥ 1 (noise {noise:.1%})", f"least {worst:.3f}",
                 worst >= 1 - noise)


def curve(rows):
    """The SVG of speed and hits over the budget, of the first model; "" without runs."""
    model = figures.ordered(rows, "model")[:1]
    decode = [row for row in experts.decode_rows(rows) if row["model"] in model]
    budgets = experts.by_budget(decode)
    if not budgets:
        return ""
    bounds = [(b.share, bound) for b in budgets if (bound := spread(experts.bound(decode, row) for row in b.rows))]
    levels = [(tables.LABELS[name], speed.median) for name in ("stock-ram-repack", "stock-ram-plain")
              if (speed := figures.speeds(measured(decode, variant=name)))]
    def share_of(function):
        return [(b.share, spread(100 * function(row) for row in b.rows)) for b in budgets]
    return curves.page(f"{str(model[0]).upper()}: decode below the cliff",
                       "median over the memory for weights, as a share of all weights; bars: least to greatest", [
        curves.Plot("tokens per second", [curves.Line("headrace", "ours", [(b.share, b.speed) for b in budgets]),
                                          curves.Line("bound", "limit", bounds)], levels),
        curves.Plot("chosen experts in memory, %", [curves.Line("headrace", "ours", share_of(experts.hits)),
                                                    curves.Line("Belady", "limit", share_of(experts.optimum_hits))], []),
    ])
