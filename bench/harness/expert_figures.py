"""Numbers of the scenario experts: hits, what perfect foresight would allow, and how speed follows the budget."""

from dataclasses import dataclass
from statistics import median

from . import figures
from .figures import Spread, measured, spread

DECODE, BUDGET = "headrace-auto", "headrace-budget"
RIVALS = ("stock-mmap-128k", "stock-mmap-8m")
LEAST_NOISE, MOST_NOISE = 0.02, 0.05


def decode_rows(rows):
    return [row for row in rows if str(row["test"]).startswith("tg")]


def prompt_rows(rows):
    return [row for row in rows if str(row["test"]).startswith("pp")]


def hits(row):
    return row["counted_hits"] / row["counted_chosen"]


def optimum_hits(row):
    return row["optimum_hits"] / row["counted_chosen"]


def of_optimum(ours):
    return spread(row["counted_hits"] / row["optimum_hits"] for row in ours if row["optimum_hits"])


def bytes_per_token(row):
    return row["counted_bytes_read"] / row["counted_passes"]


def optimum_bytes_per_token(row):
    """Experts that perfect foresight would miss, and the other weights that this budget does not hold."""
    one_expert = row["expert_bytes"] / row["all_experts"]
    return (row["counted_chosen"] - row["optimum_hits"]) * one_expert / row["counted_passes"] + row["streamed_bytes_per_pass"]


def in_memory_speed(rows):
    """Tokens/s with all weights in memory, without a group: stock with either kind of kernels or headrace, whichever is faster."""
    decode = decode_rows(rows)
    budgets = by_budget(decode)
    all_of_them = [figures.speeds(measured(decode, variant=name)) for name in ("stock-ram-plain", "stock-ram-repack")]
    all_of_them.append(budgets[-1].speed if budgets else None)
    return max((speed.median for speed in all_of_them if speed), default=None)


def bound(rows, row):
    """Tokens/s that the disk, with perfect foresight, and the processor allow; None without a read limit."""
    bandwidth, compute = figures.limit_beside(rows, row), in_memory_speed(rows)
    if not bandwidth or not compute:
        return None
    return 1 / max(optimum_bytes_per_token(row) / bandwidth, 1 / compute)


def of_bound(rows, ours):
    bounds = [(row, bound(rows, row)) for row in ours]
    return spread(row["tokens_per_s"] / limit for row, limit in bounds if limit)


def times_stock(rows, ours):
    """Ratios in pairs to the better of stock's settings."""
    rivals = [done for name in RIVALS if (done := measured(rows, variant=name))]
    return figures.paired(ours, max(rivals, key=lambda done: figures.speeds(done).median, default=[]))


@dataclass
class Budget:
    """The runs with one budget."""

    bytes: float
    share: float       # of all weights
    rows: list
    speed: Spread


def by_budget(rows):
    """Ascending."""
    done = measured(rows, variant=BUDGET)
    budgets = []
    for size in sorted(set(figures.ordered(done, "weights_budget_bytes"))):
        own = [row for row in done if row["weights_budget_bytes"] == size]
        budgets.append(Budget(size, size / own[0]["weight_bytes"], own, figures.speeds(own)))
    return budgets


def noise(budgets):
    """How far repetitions lie apart, as a share of their median. Within limits: one repetition does not show it, and a
    disturbed run excuses nothing."""
    apart = median((b.speed.high - b.speed.low) / b.speed.median for b in budgets)
    return min(MOST_NOISE, max(LEAST_NOISE, apart))


def of_smaller(budgets):
    """For each budget its speed ÷ the greatest of the smaller ones (medians); None for the first."""
    ratios = [None]
    for i in range(1, len(budgets)):
        ratios.append(budgets[i].speed.median / max(b.speed.median for b in budgets[:i]))
    return ratios
