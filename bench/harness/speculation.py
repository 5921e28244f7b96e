"""The scenario speculation: tokens/s of llama-server in the group with drafts of several lengths, beside none."""

import os
import tempfile

from . import rows as raw, server
from .session import Variant

COLUMNS = raw.columns("acceptance", "draft_tokens", "choice", "tokens", "drafted", "accepted", "passes", "pass_ms", "same_text")
PLAIN, DRAFT = "plain", "draft"
FIRST, LEARNED = "first", "learned"  # what headrace drafts before it knows the acceptance, and then
PROMPT = list(range(5, 21))  # 16 tokens
WARM_UP_TOKENS = 2
LEARNING_LENGTHS, LEARNING_TOKENS = (1, 3, 7), 8  # as drafts grow from one run to the next
EXAMPLE_BUDGET, EXAMPLE_TOKENS = 6 << 20, 128
NGRAMS = "n-grams"
EXAMPLES = {"plain": (None, 0), "draft of 3": (DRAFT, 3), "draft of 7": (DRAFT, 7), "n-grams, at most 7": (NGRAMS, 7)}
# The bundled models are too small to repeat what was said before; a grammar makes an answer do so.
ANSWERS = {"free": {}, "repeating": {"grammar": 'root ::= ("The carriage came to the door at nine. ")+'}}
EXAMPLE_PROMPT = "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a wife. " * 2


def expected_tokens(acceptance, length):
    """Of a pass that judges a draft of this length: one more than are accepted before the first refused one."""
    return sum(acceptance ** i for i in range(length + 1))


def measure(session, rows):
    settings = session.settings
    path = session.model(settings.preset, "q4_0")
    draft = session.model(settings.draft_preset, "q4_0")
    first, best = _chosen(session, path, draft)
    for turn in range(settings.turns):
        _plain(session, rows, path, turn)
        for acceptance in settings.acceptances:
            learned = best.get(acceptance, 0) if acceptance > 0 else first  # where nothing is accepted it stays with what it began with
            lengths = sorted({*(settings.draft_lengths if acceptance > 0 else []), learned} - {0})
            for length in lengths if turn % 2 == 0 else lengths[::-1]:
                choice = FIRST if acceptance == 0 else LEARNED if length == learned else FIRST if length == first else ""
                _synthetic(session, rows, path, draft, acceptance, length, choice, turn)
        _plain(session, rows, path, turn)
    _examples(session, rows)


def _chosen(session, path, draft):
    """What headrace would draft at first, and {acceptance: what it would draft when it knows that} after runs that showed it how
    long wide passes and a draft's tokens take. The machine is measured anew."""
    settings, tools = session.settings, session.tools
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as scratch:
        environment = {"XDG_CACHE_HOME": scratch, "HEADRACE_ENGINE": tools.engine}

        def headrace(*words):
            outcome = session.run([tools.need(tools.command, "make all"), words[0], path, "--flash-mode", "on", "--weights-ram", str(settings.ram_bytes),
                                   *words[1:]], environment, settings.memory_bytes)
            if outcome.status != "ok":
                raise RuntimeError(f"headrace {words[0]}: {outcome.reason}")

        def said():
            return session.plan(path, "--draft", draft, environment=environment)["speculation"]

        headrace("bench", "-p", "64", "-n", "2", "-r", "1")
        first = said()
        session.say(first["reason"])
        for length in LEARNING_LENGTHS:
            headrace("run", "--draft", draft, "--draft-tokens", str(length), "-p", "It is a truth", "-n", str(LEARNING_TOKENS), "--", "--ignore-eos")
        best = {round(row["acceptance"], 3): row["draft_tokens"] for row in said()["by_acceptance"]}
    session.say("drafts by acceptance: " + ", ".join(f"{acceptance:g}: {length}" for acceptance, length in best.items()))
    return first["draft_tokens"], best


def drafting(path, length):
    return ["-md", path, "--spec-type", "draft-simple", "--spec-draft-n-max", str(length)]


def _plain(session, rows, path, turn):
    _run(session, rows, PLAIN, path, [], session.settings.speculation_passes, {"test": "synthetic", "repetition": turn})


def _synthetic(session, rows, path, draft, acceptance, length, choice, turn):
    """As many tokens as make the same number of passes at any acceptance. The engine's option accepts what was drafted
    by chance, whatever it is."""
    rates = ",".join(f"{acceptance ** i:.6g}" for i in range(1, length + 1))
    count = round(session.settings.speculation_passes * expected_tokens(acceptance, length))
    _run(session, rows, DRAFT, path, drafting(draft, length) + ["--spec-synth-rates", rates], count,
         {"test": "synthetic", "repetition": turn, "acceptance": acceptance, "draft_tokens": length, "choice": choice})


def _run(session, rows, variant, path, options, count, common):
    settings = session.settings
    argv = [session.tools.llama_server, "-m", path, "-c", "512", "-np", "1", *options]
    served = server.Server(session, argv, session.streaming(settings.ram_bytes), settings.memory_bytes)

    def work(running):
        running.complete(PROMPT, WARM_UP_TOKENS)
        return running.complete(PROMPT, count, seed=common["repetition"] + 1)

    outcome, answer = server.measure(served, work)
    how = session.how(outcome, settings.memory_bytes, settings.ram_bytes, served.dropped)
    session.record(rows, outcome, Variant(variant), {"model": "q4_0", **common, **how}, _result(answer))


def _result(answer):
    """The answer's first token is the prompt's; each pass after it makes one, and those accepted beside it."""
    if answer is None:
        return {}
    timings = answer.timings
    accepted, made = timings.get("draft_n_accepted", 0), timings["predicted_n"] - 1
    passes = max(1, made - accepted)
    return {"tokens": timings["predicted_n"], "drafted": timings.get("draft_n", 0), "accepted": accepted, "passes": passes,
            "pass_ms": round(timings["predicted_ms"] / passes, 3), "tokens_per_s": round(1e3 * made / timings["predicted_ms"], 5)}


def _examples(session, rows):
    """Real text and a real draft, both small: what is accepted, and whether the answer is that of greedy decoding."""
    folder = os.path.join(session.tools.root, "models")
    path, draft = (os.path.join(folder, name) for name in ("austen-dense-q4_0.gguf", "austen-draft-f16.gguf"))
    plain = {}
    for label, (kind, length) in EXAMPLES.items():
        options = {None: [], DRAFT: drafting(draft, length),
                   NGRAMS: ["--spec-type", "ngram-simple", "--spec-ngram-simple-size-n", "3", "--spec-ngram-simple-size-m", str(length)]}[kind]
        argv = [session.tools.llama_server, "-m", path, "-c", "512", "-np", "1", *options]
        served = server.Server(session, argv, session.streaming(EXAMPLE_BUDGET, HEADRACE_KERNELS="plain"))
        outcome, answers = server.measure(served, lambda running: {
            name: running.complete(EXAMPLE_PROMPT, EXAMPLE_TOKENS, **more) for name, more in ANSWERS.items()})
        how = session.how(outcome, 0, EXAMPLE_BUDGET, served.dropped)
        for name in ANSWERS:
            answer = (answers or {}).get(name)
            result = _result(answer)
            if answer:
                same = answer.tokens == plain.setdefault(name, answer.tokens)
                result.update(draft_tokens=length, same_text=int(same))
            session.record(rows, outcome, Variant(label), {"model": "austen", "test": f"example, {name}", "repetition": 0, **how}, result)
