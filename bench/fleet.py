#!/usr/bin/env python3
"""Writes the tables of docs/fleet.md: what 1, 10 and 1000 machines give for a mixture of 400 GB, by arithmetic alone. All that is assumed stands at the top.

Usage: fleet.py [FILE [--check]]      the tables go between the marks of FILE, or to standard output; --check: whether they are there"""

import sys
from dataclasses import dataclass

BEGIN, END = "<!-- tables:begin -->", "<!-- tables:end -->"

# DeepSeek V3 as Q4_K_M: of `headrace plan` for the sparse file of that shape (make expect).
EXPERT_BYTES, ACTIVE_EXPERT_BYTES, OTHER_BYTES = 393.98e9, 12.312e9, 9.98e9
KV_BYTES_PER_TOKEN = 70144
EXPERTS, CHOSEN, LAYERS, MIXTURE_LAYERS, WIDTH = 256, 8, 61, 58, 7168
FLOP_PER_TOKEN = 2 * 37e9

# The machine of docs/what-to-expect.md, with a disk of 7 GB/s.
FLOPS, MEMORY_SPEED, DISK_SPEED = 400e9, 50e9, 7e9
DISK_SHARE = 0.9       # of the disk's speed that streaming reaches: 0.8 to 0.97 measured (docs/benchmarks.md)
WORKSPACE = 1.5e9      # activations, the engine itself, memory for reading ahead
CONTEXT = 1024         # tokens of one request of a batch, KV cache in q8_0
PROMPT = 2048

PRICES = {"32 GB": (900, 100), "64 GB": (1100, 110)}  # euros, watts at work
YEARS, EURO_PER_KWH = 3, 0.30
CARD_SERVER_PER_HOUR, CARD_SERVER_SPEED = 20.0, (1000, 5000)  # 8 cards of 80 GB, rented; tokens/s of all its requests together


@dataclass
class Machine:
    memory: str
    budget: float

    def euros_per_hour(self):
        price, watts = PRICES[self.memory]
        return price / (YEARS * 365 * 24) + watts / 1000 * EURO_PER_KWH


SMALL, LARGE = Machine("32 GB", 27e9), Machine("64 GB", 56e9)


def used_experts(requests):
    """The share of a layer's experts that at least one of the requests chooses, if all are equally likely. A trained mixture needs fewer."""
    return 1 - (1 - CHOSEN / EXPERTS) ** requests


def batch_speed(machine, requests):
    """Tokens/s of that many requests that share each pass on one machine; None where their KV caches do not fit."""
    cache = machine.budget - OTHER_BYTES - WORKSPACE - requests * CONTEXT * KV_BYTES_PER_TOKEN * 0.53
    if cache < 0:
        return None
    reading = EXPERT_BYTES * used_experts(requests) * max(1 - cache / EXPERT_BYTES, 0) / (DISK_SPEED * DISK_SHARE)
    return requests / max(reading, requests * FLOP_PER_TOKEN / FLOPS)


def alone_in_memory():
    """Tokens/s of one request where every weight is in the memory of one of the machines: each reads its own share, one after the other."""
    return MEMORY_SPEED / (ACTIVE_EXPERT_BYTES + OTHER_BYTES)


def row(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def table(head, rows):
    return "\n".join([row(*head), "|" + "---|" * len(head), *(row(*each) for each in rows)])


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def per_million(euros_per_hour, tokens_per_s):
    return number(euros_per_hour / (tokens_per_s * 3600) * 1e6)


def batch_table():
    rows = []
    for requests in (1, 16, 64, 128, 256):
        rows.append([requests, f"{100 * used_experts(requests):.0f} %", *(number(batch_speed(machine, requests) or 0) for machine in (SMALL, LARGE))])
    return table(["requests in a pass", "experts that one of them needs", "32 GB, tokens/s", "64 GB, tokens/s"], rows)


def fleet_table():
    rows = []
    for count in (1, 10, 1000):
        shards = count * batch_speed(SMALL, 256)
        rows.append([count, "32 GB, each by itself", "0.5 to 0.8", number(shards), per_million(count * SMALL.euros_per_hour(), shards)])
        if count == 1:
            continue
        groups = count // 10
        together = groups * FLOPS / FLOP_PER_TOKEN
        rows.append([count, f"64 GB, {groups} group{'s' if groups > 1 else ''} of ten workers", number(alone_in_memory()), number(together),
                     per_million(count * LARGE.euros_per_hour(), together)])
    slow, fast = CARD_SERVER_SPEED
    rows.append(["1", "rented server with 8 cards of 80 GB", "30 to 80", f"{slow:,} to {fast:,}",
                 f"{per_million(CARD_SERVER_PER_HOUR, fast)} to {per_million(CARD_SERVER_PER_HOUR, slow)}"])
    return table(["machines", "which", "one request, tokens/s", "many requests, tokens/s together", "euros for a million tokens"], rows)


def network_table():
    hop = 4 * WIDTH  # activations of a token, f32
    spread = MIXTURE_LAYERS * 2 * CHOSEN * hop
    rows = []
    for name, bits in (("1 Gbit/s", 1e9), ("10 Gbit/s", 10e9), ("100 Gbit/s", 100e9)):
        speed = 0.94 * bits / 8
        rows.append([name, f"{number(speed / hop)} tokens/s", f"{number(speed / spread)} tokens/s", f"{PROMPT * hop / speed:.2g} s",
                     f"{number(EXPERT_BYTES / 10 / speed / 60)} min", f"{speed / 1e9:.2g} GB/s"])
    return table(["network", "layers on machines one after the other", "experts spread over machines", f"a prompt of {PROMPT} tokens, a border",
                  "a tenth of the weights to a worker", "weights streamed from a file server"], rows)


def main():
    text = "\n\n".join([batch_table(), "**A fleet**", fleet_table(), "**The network**", network_table()])
    if len(sys.argv) < 2:
        print(text)
        return
    with open(sys.argv[1], encoding="utf-8") as file:
        page = file.read()
    made = f"{page.split(BEGIN)[0]}{BEGIN}\n\n{text}\n\n{END}{page.split(END)[1]}"
    if "--check" in sys.argv[2:]:
        sys.exit(0 if made == page else f"the tables of {sys.argv[1]} are old: bench/fleet.py {sys.argv[1]}")
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write(made)


if __name__ == "__main__":
    main()
