"""Tables and goals of the scenario speculation."""

from statistics import median

from . import figures, tables
from .figures import measured, spread
from .speculation import DRAFT, FIRST, LEARNED, PLAIN, expected_tokens

GOALS = {0.8: 3, 0.6: 1.8, 0: 0.97}  # times the tokens/s of plain streaming


def _pairs(rows, acceptance, length):
    """(row, plain tokens/s of its turn) of each run."""
    done = measured(rows, variant=DRAFT, acceptance=acceptance, draft_tokens=length, test="synthetic")
    for row in done:
        plain = [r["tokens_per_s"] for r in measured(rows, variant=PLAIN, test="synthetic", repetition=row["repetition"])]
        if plain:
            yield row, sum(plain) / len(plain)


def gain(rows, acceptance, length):
    return spread(row["tokens_per_s"] / plain for row, plain in _pairs(rows, acceptance, length))


def fair_gain(rows, acceptance, length):
    """The same with as many tokens in each pass as this acceptance yields on average: luck is left out."""
    return spread(1e3 / row["pass_ms"] * expected_tokens(acceptance, int(length)) / plain for row, plain in _pairs(rows, acceptance, length))


def _combinations(rows):
    drafted = [row for row in rows if row["variant"] == DRAFT and row["test"] == "synthetic"]
    return list(dict.fromkeys((row["acceptance"], row["draft_tokens"], row["choice"]) for row in drafted))


def render(rows):
    words = {FIRST: "before the acceptance is known", LEARNED: "for this acceptance", None: ""}
    plain = figures.speeds(measured(rows, variant=PLAIN, test="synthetic"))
    pass_ms = spread(row["pass_ms"] for row in measured(rows, variant=PLAIN, test="synthetic"))
    lines = [["none", "", "", tables.text(plain, figures.digits), "1", "", f"{pass_ms.median:.0f} ms", "1", "1"]] if plain else []
    for acceptance, length, choice in _combinations(rows):
        own = [row for row in rows if row["acceptance"] == acceptance and row["draft_tokens"] == length and row["test"] == "synthetic"]
        done = measured(own)
        if not done:
            lines.append([f"{acceptance:g}", f"{length:.0f}", words[choice], tables.failure(own)] + [""] * 5)
            continue
        per_pass = spread((row["tokens"] - 1) / row["passes"] for row in done)
        lines.append([f"{acceptance:g}", f"{length:.0f}", words[choice], tables.text(figures.speeds(done), figures.digits),
                      tables.text(per_pass), f"{expected_tokens(acceptance, int(length)):.2f}", f"{median(r['pass_ms'] for r in done):.0f} ms",
                      tables.text(gain(rows, acceptance, length)), tables.text(fair_gain(rows, acceptance, length))])
    out = ["The acceptance is **synthetic**: llama-server accepts drafted tokens by chance (`--spec-synth-rates`), because weights are random. "
           "How many it accepts in one run varies: the last column has as many tokens in each pass as are expected.", ""] if lines else []
    out += tables.table(["acceptance of a token", "drafted", "headrace's choice", "tokens/s", "tokens in a pass", "expected", "pass with its draft",
                         "÷ plain streaming", "÷ plain, at the expected tokens"], lines)
    return out + _example_table(_examples(rows))


def _examples(rows):
    return [row for row in rows if row["model"] == "austen"]


def _example_table(rows):
    lines = []
    for label in figures.ordered(rows, "variant"):
        cells = [label]
        for test in figures.ordered(rows, "test"):
            own = [row for row in rows if row["variant"] == label and row["test"] == test]
            if not measured(own):
                cells += [tables.failure(own), "", ""]
                continue
            row = own[0]
            share = f"{row['accepted'] / row['drafted']:.0%}" if row["drafted"] else ""
            cells += [f"{(row['tokens'] - 1) / row['passes']:.2f}", share, "yes" if row["same_text"] else "**no**"]
        lines.append(cells)
    if not lines:
        return []
    header = [""]
    for test in figures.ordered(rows, "test"):
        header += [f"{test.removeprefix('example, ')} answer: tokens in a pass", "drafted tokens accepted", "text of plain greedy decoding"]
    return ["Real acceptance: the bundled models, 20.7 M parameters and a draft of 3.4 M that is weak, for 128 tokens.", ""] + tables.table(header, lines)


def goals(rows, goal):
    for acceptance, length, choice in _combinations(rows):
        least, ratio = GOALS.get(acceptance), gain(rows, acceptance, length)
        if least is None or ratio is None or choice != (FIRST if acceptance == 0 else LEARNED):
            continue
        goal(f"drafts of {length:.0f}, acceptance {acceptance:g} ÷ plain streaming", f"≥ {least}",
             f"{ratio.text()}; {fair_gain(rows, acceptance, length).text()} at the expected tokens in a pass", ratio.median >= least)
    texts = [row["same_text"] for row in measured(_examples(rows)) if row["variant"] != PLAIN]
    if texts:
        goal("texts with drafts and n-grams", "those of greedy decoding", f"{sum(texts):.0f} of {len(texts)}", all(texts))
