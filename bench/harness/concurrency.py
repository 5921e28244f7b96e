"""The scenario concurrency: `headrace serve` in the group with several requests at a time, and what a newcomer's prompt costs the others."""

import os
import tempfile
import threading
import time
from statistics import median

from . import figures, rows as raw, server, tables
from .figures import measured, spread
from .session import Variant

COLUMNS = raw.columns("requests", "tokens", "pass_tokens", "generating_tokens_per_s", "request_tokens_per_s", "first_token_s", "last_first_token_s",
                      "usual_gap_s", "longest_gap_s")
SERVE, SERVE_STOCK_BATCH = "serve", "serve, llama-server's batch"
SLOTS, POOL_TOKENS = 32, 2048      # set, so that each number of requests has the same memory for weights
GOAL_REQUESTS, GOAL = 16, 8        # times the tokens/s of one request
FIRST_TOKENS, MOST_TOKENS = 4, 80  # of the request that a newcomer meets: before it comes, and in all


def prompt(index, count):
    """Tokens that no other request begins with."""
    return [1 + (37 * index + 11 * i) % 250 for i in range(count)]


def measure(session, rows):
    settings = session.settings
    path = session.model(settings.preset, "q4_0")
    for turn in range(settings.turns):
        levels = settings.requests if turn % 2 == 0 else settings.requests[::-1]
        _serve(session, rows, SERVE, path, [], turn, levels)
        _serve(session, rows, SERVE_STOCK_BATCH, path, ["-b", "2048", "-ub", "512"], turn, [])


def _serve(session, rows, name, path, options, turn, levels):
    """One server: each number of requests, then the newcomer. A row for each; one that failed if the server did."""
    settings = session.settings
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as scratch:
        environment = {"XDG_CONFIG_HOME": scratch, "XDG_CACHE_HOME": scratch, "HEADRACE_ENGINE": session.tools.engine}
        argv = [session.tools.need(session.tools.command, "make all"), "serve", path, "--flash-mode", "on", "--ram", str(settings.process_bytes),
                "--", "-np", str(SLOTS), "-c", str(POOL_TOKENS), "-kvu", *options]
        served = server.Server(session, argv, environment, settings.memory_bytes)
        results = []

        def work(running):
            running.complete(prompt(0, 4), 2)  # loads the model, and its resident weights
            for level in levels:
                results.append((f"{level} requests", _together(running, level, settings)))
                session.say(f"{level} requests: {results[-1][1]['tokens_per_s']:.3f} t/s")
            chosen = running.get("/api/v1/models")["models"][0]["loaded"].get("sharing") or {}
            results.append(("newcomer", {"pass_tokens": chosen.get("batch_tokens") or "", **_newcomer(running, settings.newcomer_tokens)}))

        outcome, _nothing = server.measure(served, work)
    how = session.how(outcome, settings.memory_bytes, 0, served.dropped)
    if outcome.status not in ("ok", "uncapped"):
        results.append(("failed", {}))
    for test, result in results:
        session.record(rows, outcome, Variant(name), {"model": "q4_0", "test": test, "repetition": turn, **how}, result)


def _together(running, count, settings):
    answers = running.complete_together([prompt(i + 1, settings.request_prompt) for i in range(count)], settings.request_tokens)
    start, end = min(a.start for a in answers), max(a.arrived[-1] for a in answers)
    tokens = sum(len(a.arrived) for a in answers)
    # While all generate: no prompt is read any more, and no request has ended.
    first, last = max(a.arrived[0] for a in answers), min(a.arrived[-1] for a in answers)
    between = sum(first < at <= last for a in answers for at in a.arrived)
    return {"requests": count, "tokens": tokens, "tokens_per_s": round(tokens / (end - start), 5),
            "generating_tokens_per_s": round(between / (last - first), 5) if last > first else "",
            "request_tokens_per_s": round(median(a.tokens_per_s for a in answers), 5),
            "first_token_s": round(median(a.first_token_s for a in answers), 3),
            "last_first_token_s": round(max(a.first_token_s for a in answers), 3)}


def _newcomer(running, tokens):
    """One request generates; a second one with a long prompt comes. How long does the first wait for its next token?"""
    met, stop = [], threading.Event()

    def watch(answer):
        met[:] = [answer]
        return not stop.is_set()

    other = threading.Thread(target=running.complete, args=(prompt(0, 16), MOST_TOKENS, 1, watch), daemon=True)
    other.start()
    while other.is_alive() and (not met or len(met[0].arrived) < FIRST_TOKENS):
        time.sleep(0.01)
    newcomer = running.complete(prompt(1, tokens), 2)
    time.sleep(0.1)
    stop.set()
    other.join(server.ANSWER_S)
    if not met or not met[0].gaps():
        raise RuntimeError("the request that a newcomer should meet made no tokens")
    arrived = met[0].arrived
    before = [later - earlier for earlier, later in zip(arrived, arrived[1:]) if later < newcomer.start]
    during = [later - max(earlier, newcomer.start) for earlier, later in zip(arrived, arrived[1:])
              if later > newcomer.start and earlier < newcomer.arrived[0]]
    if not before or not during:
        raise RuntimeError("the requests did not overlap")
    return {"requests": 2, "tokens": tokens, "usual_gap_s": round(median(before), 3), "longest_gap_s": round(max(during), 3),
            "first_token_s": round(newcomer.first_token_s, 3)}


def gain(rows, count, column="tokens_per_s"):
    """Tokens/s of all requests together over those of one, in the same turn."""
    def of(turn, level):
        return [row[column] for row in measured(rows, variant=SERVE, repetition=turn, requests=level, test=f"{level:.0f} requests")]
    turns = [(of(turn, count), of(turn, 1)) for turn in figures.ordered(rows, "repetition")]
    return spread(many[0] / one[0] for many, one in turns if many and one and many[0] and one[0])


def render(rows):
    levels = [row for row in measured(rows, variant=SERVE) if row["test"] != "newcomer"]
    lines = []
    for count in sorted(set(figures.ordered(levels, "requests"))):
        own = [row for row in levels if row["requests"] == count]
        def middle(column, own=own):
            return tables.text(spread(row[column] for row in own), figures.digits)
        lines.append([f"{count:.0f}", middle("tokens_per_s"), tables.text(gain(rows, count)), middle("generating_tokens_per_s"),
                      tables.text(gain(rows, count, "generating_tokens_per_s")), middle("request_tokens_per_s"), middle("first_token_s"),
                      middle("last_first_token_s")])
    out = tables.table(["requests at a time", "tokens/s together", "÷ one", "while all generate", "÷ one", "tokens/s of a request",
                        "first token, s", "last first token, s"], lines)
    lines = []
    for name, label in ((SERVE, "as `headrace serve` chooses"), (SERVE_STOCK_BATCH, "llama-server's default, 512")):
        done = measured(rows, variant=name, test="newcomer")
        if done:
            label += f", {done[0]['pass_tokens']:.0f}" if name == SERVE and done[0]["pass_tokens"] else ""
            cells = [tables.text(spread(row[column] for row in done), figures.digits) for column in ("usual_gap_s", "longest_gap_s", "first_token_s")]
            lines.append([label, *cells])
    if lines:
        tokens = measured(rows, test="newcomer")[0]["tokens"]
        out += [f"A newcomer with a prompt of {tokens:.0f} tokens, while another request generates:", ""]
        out += tables.table(["most tokens of a pass", "usual time between tokens, s", "longest while its prompt is read, s",
                             "newcomer's first token, s"], lines)
    return out


def goals(rows, goal):
    ratio, generating = gain(rows, GOAL_REQUESTS), gain(rows, GOAL_REQUESTS, "generating_tokens_per_s")
    if ratio:
        goal(f"{GOAL_REQUESTS} requests ÷ one, tokens/s together", f"≥ {GOAL}",
             ratio.text() + (f"; {generating.text()} while all generate" if generating else ""), ratio.median >= GOAL)
