#!/usr/bin/env python3
"""Trains a small mixture of experts with balanced routing on the text of prepare_text.py and writes its router's traces.

Usage: train.py TEXT.xz FOLDER [--seconds N]
Needs PyTorch and a graphics card (10 minutes of an H100). The model is built as published ones are: RMS norm, rotary
positions, many small experts, a sigmoid router whose experts are kept busy by a bias for each (DeepSeek-V3), which only the
choice sees. No token is dropped.

Writes to FOLDER, for each kind of text, traces in the format of src/experts/router_trace.h, packed as tar.xz:
  held-out.tar.xz   of text that it was not trained on
  sampled.tar.xz    of its own continuations of such text
  *-foreseen.tar.xz in the same format what each layer's router says about the hidden state that the layer before it routes,
                    the first one's about the token's embedding
and summary.json with the losses and what the choices are like, samples.txt with the continuations.
"""

import argparse
import json
import lzma
import math
import os
import sys
import time
from types import SimpleNamespace

import torch

from model import choose_grouped, grouped_by_loop, loss_of, make_layer, make_model, parameters
from record import held_out, variation, write_traces

STARTED = time.monotonic()


def say(text):
    print(f"{time.monotonic() - STARTED:6.1f} s  {text}", flush=True)


def read_text(path, device):
    with lzma.open(path, "rb") as file:
        head = json.loads(file.readline())
        tokens = torch.frombuffer(bytearray(file.read()), dtype=torch.int16)
    vocabulary = [bytes.fromhex(token) for token in head["vocabulary"]]
    return SimpleNamespace(tokens=tokens.to(device, torch.int64), kinds=head["kinds"], vocabulary=vocabulary, end=head["end_token"])


def training_batch(text, shape):
    """Sequences that begin anywhere in a kind; each kind is as likely."""
    chosen = torch.randint(len(text.kinds), (shape.batch,)).tolist()
    starts = [int(torch.randint(text.kinds[k]["begin"], text.kinds[k]["held_out"] - shape.context - 1, (1,))) for k in chosen]
    places = torch.tensor(starts)[:, None] + torch.arange(shape.context + 1)
    batch = text.tokens[places.to(text.tokens.device)]
    return batch[:, :-1], batch[:, 1:]


def compiled_if_it_works(model, text, shape, run, dtype):
    if shape.plain:
        return run
    compiled = torch.compile(run, dynamic=False)
    try:
        tokens, targets = training_batch(text, shape)
        loss, _ = loss_of(model, tokens, targets, compiled, dtype)
        loss.backward()
        for weight in parameters(model):
            weight.grad = None
        with torch.no_grad():
            plain = float(loss_of(model, tokens, targets, run, dtype)[0])
        say(f"compiled; loss {float(loss):.4f}, not compiled {plain:.4f}")
        return compiled if abs(float(loss) - plain) < 0.02 else run
    except Exception as problem:
        say(f"not compiled: {str(problem)[:300]}")
        return run


def held_out_losses(model, text, shape, run, dtype):
    losses = {}
    with torch.no_grad():
        for kind in text.kinds:
            tokens = held_out(text, kind, 4, shape.context + 1)
            losses[kind["kind"]] = float(loss_of(model, tokens[:, :-1], tokens[:, 1:], run, dtype)[0])
    return losses


def train(model, text, shape, run, dtype):
    fast = compiled_if_it_works(model, text, shape, run, dtype) if text.tokens.device.type == "cuda" else run
    matrices = [weight for weight in parameters(model) if weight.dim() > 1]
    vectors = [weight for weight in parameters(model) if weight.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
                                  lr=shape.rate, betas=(0.9, 0.95), fused=text.tokens.device.type == "cuda")
    first = time.monotonic()
    until = STARTED + shape.seconds
    curve, step, reported, since = [], 0, first, 0
    uses_since = torch.zeros_like(model.bias)
    while True:
        now = time.monotonic()
        done = (now - first) / max(1e-9, until - first)
        if done >= 1 or step == shape.steps:
            return curve
        rate = shape.rate * min(1, (step + 1) / 150) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * done)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        tokens, targets = training_batch(text, shape)
        loss, uses = loss_of(model, tokens, targets, fast, dtype)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters(model), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        # An expert with too many choices becomes a little less likely, one with too few a little more.
        model.bias += shape.balance * torch.sign(uses.float().mean(1, keepdim=True) - uses)
        uses_since += uses
        step += 1
        since += 1
        if step <= 3 or step % 10 == 0:
            value = float(loss)       # waits for the card, so that the clock is right
            now = time.monotonic()
            if step <= 3 or now - reported >= 10:
                speed = since * shape.batch * shape.context / (now - reported)
                curve.append({"seconds": round(now - STARTED, 1), "step": step, "loss": round(value, 4), "variation": round(variation(uses_since), 4),
                              "tokens_per_second": round(speed)})
                say(f"step {step}: loss {value:.3f}, uses of experts vary by {variation(uses_since):.3f}, {speed:.0f} tokens/s, rate {rate:.2e}")
                reported, since = now, 0
                uses_since.zero_()
            if not math.isfinite(value):
                sys.exit("the loss is not finite")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text")
    parser.add_argument("folder", help="for the results")
    parser.add_argument("--seconds", type=float, default=430, help="when training ends, counted from the start of the program")
    parser.add_argument("--steps", type=int, default=-1, help="when it ends earlier")
    for name, value in (("layers", 12), ("width", 512), ("heads", 8), ("experts", 128), ("used", 8), ("expert-width", 256), ("context", 1024),
                        ("batch", 32), ("traced", 4), ("prompt", 64), ("sampling-seconds", 60)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--rate", type=float, default=1e-3, help="of learning")
    parser.add_argument("--balance", type=float, default=2e-3, help="step of the bias")
    parser.add_argument("--plain", action="store_true", help="what is slower and always works: not compiled, a product for each expert")
    shape = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    torch.manual_seed(1)
    os.makedirs(shape.folder, exist_ok=True)
    text = read_text(shape.text, device)
    shape.vocabulary, shape.head = len(text.vocabulary), shape.width // shape.heads
    grouped = grouped_by_loop if shape.plain else choose_grouped(device, dtype)
    shape.plain = grouped is grouped_by_loop
    model = make_model(shape, device)
    weights = sum(weight.numel() for weight in parameters(model))
    say(f"PyTorch {torch.__version__}, {device}; {len(text.tokens)} tokens of {len(text.kinds)} kinds; {weights / 1e6:.0f} M weights; {grouped.__name__}")
    run = make_layer(shape, grouped)
    summary = {"shape": {name: value for name, value in vars(shape).items() if name not in ("text", "folder")}, "weights": weights}
    summary["curve"] = train(model, text, shape, run, dtype)
    if device.type == "cuda":
        say(f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB of the card were used")
    summary["held_out_losses"] = held_out_losses(model, text, shape, run, dtype)
    say("held-out losses: " + ", ".join(f"{kind} {loss:.2f}" for kind, loss in summary["held_out_losses"].items()))
    write_traces(model, text, shape, run, dtype, shape.folder, summary)
    with open(os.path.join(shape.folder, "summary.json"), "w", encoding="utf-8") as file:
        json.dump(summary, file, indent=1)
    say("done")


if __name__ == "__main__":
    main()
