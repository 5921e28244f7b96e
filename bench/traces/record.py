"""What a model's routers choose, as traces, for train.py."""

import collections
import io
import math
import os
import tarfile
import threading
import time

import torch
import torch.nn.functional as F

from model import forward, rms, route

STEP = 128               # sampled sequences grow in pieces of so many tokens


def held_out(text, kind, sequences, context, skip=0):
    """The first tokens of what no training sequence contains."""
    first = kind["held_out"] + skip
    sequences = min(sequences, (kind["end"] - first) // context)
    return text.tokens[first:first + sequences * context].view(sequences, context)


def variation(uses):
    """Coefficient of variation of the experts' uses, mean over the layers."""
    uses = uses.float()
    return float((uses.std(1) / uses.mean(1)).mean())


class Recorder:
    """Choices of each layer for each token, the heaviest first, and those that were foreseen."""

    def __init__(self, model, tokens, used):
        self.model, self.used = model, used
        self.chosen, self.foreseen = [], []
        self.foresee(0, rms(model.embedding[tokens.flatten()], model.layers[0]["norm"]))

    def foresee(self, number, hidden):
        self.foreseen.append(route(hidden, self.model.layers[number]["router"], self.model.bias[number], self.used)[0].cpu())

    def __call__(self, number, hidden, chosen, weights):
        heaviest = weights.argsort(dim=-1, descending=True)
        self.chosen.append(chosen.gather(-1, heaviest).cpu())
        if number + 1 < len(self.model.layers):
            self.foresee(number + 1, hidden)


def record(model, tokens, shape, run, dtype):
    """[token][layer][place] of the choices, and of the foreseen ones."""
    with torch.no_grad():
        recorder = Recorder(model, tokens, shape.used)
        forward(model, tokens, run, dtype, recorder)
    return torch.stack(recorder.chosen, 1), torch.stack(recorder.foreseen, 1)


def trace_bytes(choices):
    tokens, layers, used = choices.shape
    heads = torch.tensor([[layer, used] for layer in range(layers)]).expand(tokens, layers, 2)
    return b"HRTRACE1" + bytes(torch.cat([heads, choices], -1).to(torch.int16).contiguous().view(torch.uint8).flatten().tolist())


def lru_rate(choices, share, experts):
    tokens, layers, _ = choices.shape
    slots = int(share * layers * experts)
    held, hits, total = collections.OrderedDict(), 0, 0
    for token in choices.tolist():
        for layer, chosen in enumerate(token):
            for expert in chosen:
                total += 1
                key = layer * experts + expert
                hits += key in held
                held[key] = True
                held.move_to_end(key)
            while len(held) > slots:
                held.popitem(last=False)
    return hits / total


def describe(chosen, foreseen, experts):
    tokens, layers, used = chosen.shape
    uses = torch.stack([torch.bincount(chosen[:, layer].flatten(), minlength=experts) for layer in range(layers)])
    sorted_uses = uses.sort(1, descending=True).values.float()
    popular = {share: float((sorted_uses[:, :max(1, int(experts * share))].sum(1) / sorted_uses.sum(1)).mean()) for share in (1 / 16, 0.2)}
    # A token's experts as marks, to count what two sets share.
    marks = torch.zeros(tokens, layers, experts).scatter_(2, chosen, 1.0)
    seen = torch.zeros(tokens, layers, experts).scatter_(2, foreseen, 1.0)
    right = (marks * seen).sum((0, 2)) / seen.sum((0, 2))
    return {"tokens": tokens, "variation": variation(uses), "top_16th": popular[1 / 16], "top_5th": popular[0.2],
            "again": float((marks[1:] * marks[:-1]).sum() / marks[1:].sum()), "foreseen": float(right[1:].mean()), "first_foreseen": float(right[0]),
            "lru": {share: lru_rate(chosen, share, experts) for share in (0.25, 0.5)}}


def pack(path, traces):
    with tarfile.open(path, "w:xz", preset=6) as archive:
        for name, data in traces.items():
            entry = tarfile.TarInfo(name + ".trace")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    print(f"{path}: {os.path.getsize(path) / 1e6:.2f} MB", flush=True)


def continuations(model, text, shape, run, dtype):
    """Two for each kind: [kind * 2][token], each a prompt and what the model adds. Fewer tokens when time is short."""
    prompts = torch.cat([held_out(text, kind, 2, shape.prompt, skip=shape.traced * shape.context) for kind in text.kinds])
    tokens = F.pad(prompts, (0, shape.context - shape.prompt))
    began = time.monotonic()
    with torch.no_grad():
        for place in range(shape.prompt, shape.context):
            if place % 32 == 0 and time.monotonic() - began > shape.sampling_seconds:
                return tokens[:, :place]
            length = min(shape.context, -(-place // STEP) * STEP)
            x, _ = forward(model, tokens[:, :length], run, dtype)
            logits = F.linear(x[:, place - 1], model.head.to(dtype)).float() / 0.8
            logits[:, text.end] = -math.inf
            likely = logits.topk(50)
            tokens[:, place] = likely.indices.gather(1, torch.multinomial(likely.values.softmax(-1), 1))[:, 0]
    return tokens


def write_traces(model, text, shape, run, dtype, folder, summary):
    threads = []

    def finish(name, traces):
        described = {kind: describe(chosen, foreseen, shape.experts) for kind, (chosen, foreseen) in traces.items()}
        everything = torch.cat([chosen for chosen, _ in traces.values()])
        uses = torch.stack([torch.bincount(everything[:, layer].flatten(), minlength=shape.experts) for layer in range(shape.layers)])
        print(f"{name}, all kinds: uses vary by {variation(uses):.2f}", flush=True)
        summary[name] = described
        for kind, of_kind in described.items():
            print(f"{name} {kind}: {of_kind['tokens']} tokens, uses vary by {of_kind['variation']:.2f}, top 1/16 {of_kind['top_16th']:.2f}, "
                f"top 1/5 {of_kind['top_5th']:.2f}, again {of_kind['again']:.2f}, foreseen {of_kind['foreseen']:.2f} "
                f"(first layer {of_kind['first_foreseen']:.2f}), LRU "
                + ", ".join(f"{share}: {rate:.2f}" for share, rate in of_kind["lru"].items()), flush=True)
        for part, suffix in enumerate(("", "-foreseen")):
            packed = {kind: trace_bytes(trace[part]) for kind, trace in traces.items()}
            threads.append(threading.Thread(target=pack, args=(os.path.join(folder, name + suffix + ".tar.xz"), packed)))
            threads[-1].start()

    finish("held-out", {kind["kind"]: record(model, held_out(text, kind, shape.traced, shape.context), shape, run, dtype) for kind in text.kinds})
    sampled = continuations(model, text, shape, run, dtype)
    print(f"sampled {sampled.shape[0]} continuations of {sampled.shape[1] - shape.prompt} tokens", flush=True)
    traces, pages = {}, []
    for number, kind in enumerate(text.kinds):
        of_kind = sampled[2 * number:2 * number + 2]
        chosen, foreseen = record(model, of_kind, shape, run, dtype)
        made = (torch.arange(chosen.shape[0]) % of_kind.shape[1]) >= shape.prompt
        traces[kind["kind"]] = (chosen[made], foreseen[made])
        for sequence in of_kind.tolist():
            words = [b"".join(text.vocabulary[token] for token in part).decode("utf-8", "replace") for part in (sequence[:shape.prompt], sequence[shape.prompt:])]
            pages.append(f"==== {kind['kind']}\n{words[0]}\n---- continued:\n{words[1]}\n")
    with open(os.path.join(folder, "samples.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(pages))
    finish("sampled", traces)
    for thread in threads:
        thread.join()
