"""Numbers from rows: medians, spreads, and ratios of runs that were made side by side."""

from statistics import median


class Spread:
    """Median, least and greatest of some numbers."""

    def __init__(self, values):
        self.values = list(values)
        self.median, self.low, self.high = median(self.values), min(self.values), max(self.values)

    def text(self, form="{:.2f}"):
        """Median (least–greatest). form is a format string, or a function of a number."""
        show = form if callable(form) else form.format
        if len(self.values) == 1:
            return show(self.median)
        return f"{show(self.median)} ({show(self.low)}–{show(self.high)})"


def digits(value):
    """Three significant digits: 0.482, 1.89, 43.1, 1520."""
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3}f}"


def spread(values):
    """A Spread, or None when there is nothing."""
    present = [value for value in values if value is not None]
    return Spread(present) if present else None


def measured(rows, **wanted):
    """Rows that ran to their end and match."""
    return [row for row in rows if row["status"] in ("ok", "uncapped") and all(row[k] == v for k, v in wanted.items())]


def speeds(rows):
    return spread(row["tokens_per_s"] for row in rows)


def limit_beside(rows, row):
    """Bytes per second of the read limit, mean of the nearest measurement before and after a row."""
    same = measured(rows, variant="limit", model=row["model"], test=row["test"], repetition=row["repetition"])
    before = [r for r in same if r["order"] < row["order"]]
    after = [r for r in same if r["order"] > row["order"]]
    nearest = before[-1:] + after[:1]
    return sum(r["bytes_per_s"] for r in nearest) / len(nearest) if nearest else None


def limit_tokens_per_s(rows, row):
    """What the disk allows this run: bandwidth over bytes streamed per pass."""
    bandwidth = limit_beside(rows, row)
    return bandwidth / row["streamed_bytes_per_pass"] if bandwidth and row["streamed_bytes_per_pass"] else None


def of_limit(rows, ours):
    """Ratios headrace ÷ limit, one per run."""
    limits = [(row, limit_tokens_per_s(rows, row)) for row in ours]
    return spread(row["tokens_per_s"] / limit for row, limit in limits if limit)


def paired(ours, theirs):
    """Ratios ours ÷ theirs of the same repetition; against the median of theirs where a repetition has none."""
    if not ours or not theirs:
        return None
    by_repetition = {row["repetition"]: row["tokens_per_s"] for row in theirs}
    fallback = median(by_repetition.values())
    return spread(row["tokens_per_s"] / by_repetition.get(row["repetition"], fallback) for row in ours)


def own_share(ours):
    """Share of decode passes' wall time that is neither waiting for the disk nor in kernels."""
    return spread(row["decode_own_ns"] / row["decode_ns"] for row in ours if row["decode_ns"])


def wait_share(ours):
    return spread(row["decode_wait_ns"] / row["decode_ns"] for row in ours if row["decode_ns"])


def ordered(rows, column):
    """Distinct values of a column in order of appearance."""
    return list(dict.fromkeys(row[column] for row in rows))
