"""The scenario batch: `headrace batch` in the group beside stock llama-server all in RAM, with the same requests."""

import json
import os
import tempfile

from . import figures, machine, rows as raw, server, tables
from .concurrency import prompt
from .figures import measured, spread
from .session import Variant

COLUMNS = raw.columns("requests", "tokens", "answer_s")
OURS, STOCK = "headrace-batch", "stock-ram-server"
LABELS = {OURS: "`headrace batch` in the group", STOCK: "stock llama-server, all in RAM"}
SLOT_TOKENS = 64  # of the KV cache, for each of stock's requests
GOAL = 0.8


def measure(session, rows):
    settings = session.settings
    path = session.model(settings.preset, "q4_0")
    prompts = [prompt(i, settings.request_prompt) for i in range(settings.batch_requests)]
    runs = [_ours, _stock] if session.fits_in_memory(path, 2) else [_ours]
    for turn in range(settings.turns):
        for run in runs if turn % 2 == 0 else runs[::-1]:
            run(session, rows, path, prompts, turn)


def _ours(session, rows, path, prompts, turn):
    """The whole command, from its start to its end."""
    settings = session.settings
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as scratch:
        requests, results = os.path.join(scratch, "requests.jsonl"), os.path.join(scratch, "results.jsonl")
        with open(requests, "w") as file:
            for i, tokens in enumerate(prompts):
                body = {"prompt": tokens, "max_tokens": settings.batch_tokens, "temperature": 0, "ignore_eos": True}
                file.write(json.dumps({"custom_id": str(i), "method": "POST", "url": "/v1/completions", "body": body}) + "\n")
        argv = [session.tools.need(session.tools.command, "make all"), "batch", path, requests, "-o", results, "--slots", str(len(prompts)),
                "--flash-mode", "on", "--ram", str(settings.process_bytes)]
        dropped = machine.drop_caches()
        outcome = session.run(argv, {"XDG_CONFIG_HOME": scratch, "XDG_CACHE_HOME": scratch, "HEADRACE_ENGINE": session.tools.engine},
                              settings.memory_bytes)
        made = _tokens_of(results)
    if outcome.status == "ok" and made != [settings.batch_tokens] * len(prompts):
        outcome.status, outcome.stderr = "failed", f"{len(made)} answers with {sum(made)} tokens"
    _record(session, rows, OURS, outcome, session.how(outcome, settings.memory_bytes, 0, dropped), turn, made, outcome.figures["wall_s"])


def _tokens_of(path):
    """Of each answer that is no error."""
    if not os.path.exists(path):
        return []
    with open(path) as file:
        lines = [json.loads(line) for line in file if line.strip()]
    bodies = [line["response"]["body"] for line in lines if (line.get("response") or {}).get("status_code") == 200]
    return [body["usage"]["completion_tokens"] for body in bodies]


def _stock(session, rows, path, prompts, turn):
    """All requests at once to a server that is ready: loading is left out."""
    settings = session.settings
    argv = [session.tools.llama_server, "-m", path, "-np", str(len(prompts)), "-c", str(SLOT_TOKENS * len(prompts)), "-kvu"]
    served = server.Server(session, argv)
    outcome, answers = server.measure(served, lambda running: running.complete_together(prompts, settings.batch_tokens))
    made = [len(answer.arrived) for answer in answers or []]
    answer_s = max(a.arrived[-1] for a in answers if a.arrived) - min(a.start for a in answers) if any(a.arrived for a in answers) else None
    _record(session, rows, STOCK, outcome, session.how(outcome, 0, 0, served.dropped), turn, made, answer_s)


def _record(session, rows, name, outcome, how, turn, made, answer_s):
    result = {"requests": len(made), "tokens": sum(made), "answer_s": round(answer_s, 3), "tokens_per_s": round(sum(made) / answer_s, 5)} if made else {}
    session.record(rows, outcome, Variant(name), {"model": "q4_0", "test": "batch", "repetition": turn, **how}, result)


def render(rows):
    lines = []
    for name, label in LABELS.items():
        own = [row for row in rows if row["variant"] == name]
        done = measured(own)
        if done:
            ratio = figures.paired(done, measured(rows, variant=STOCK)) if name == OURS else None
            lines.append([label, f"{done[0]['requests']:.0f}", f"{done[0]['tokens']:.0f}", tables.text(spread(r["answer_s"] for r in done), "{:.0f}"),
                          tables.text(figures.speeds(done), figures.digits), tables.text(ratio), *tables.memory_cells(done)])
        elif own:
            lines.append([label, tables.failure(own)] + [""] * 6)
    return tables.table(["", "requests", "tokens made", "s", "tokens/s", "÷ stock in RAM", "peak memory", "limit hits"], lines)


def goals(rows, goal):
    ratio = figures.paired(measured(rows, variant=OURS), measured(rows, variant=STOCK))
    if ratio:
        goal("`headrace batch` ÷ stock in RAM, tokens/s", f"≥ {GOAL}", ratio.text(), ratio.median >= GOAL)
