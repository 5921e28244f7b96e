#!/usr/bin/env python3
"""Many clients ask one server for a while, as chat programs do: streams of different lengths, some without a limit,
some whose reader leaves. Prints one row of CSV.

Usage: clients.py NAME URL [--clients 32] [--seconds 60] [--head]"""
import argparse
import http.client
import json
import random
import statistics
import threading
import time
import urllib.parse

FIELDS = ["name", "clients", "seconds", "answers", "refused", "broken", "left", "tokens_per_s", "head_median_s",
          "head_most_s", "token_median_s", "token_p95_s", "silence_most_s"]


class Results:
    def __init__(self):
        self.lock = threading.Lock()
        self.answers = self.refused = self.broken = self.left = self.tokens = 0
        self.heads, self.firsts = [], []
        self.silence = 0.0


def ask(host, port, number, rng, results, end):
    words = rng.choice([8, 20, 60])
    body = {"prompt": f"Chapter {number}. " + "It is a truth " * (words // 4), "stream": True, "ignore_eos": False,
            "return_progress": False}
    if rng.random() < 0.8:
        body["max_tokens"] = rng.choice([16, 48, 96])
    leaves = rng.random() < 0.1
    begin = last = time.monotonic()
    head = first = None
    tokens = 0
    silence = 0.0
    refused = broken = done = False
    connection = http.client.HTTPConnection(host, port, timeout=max(1, end - begin + 30))
    try:
        connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        now = time.monotonic()
        head = now - begin
        silence, last = now - last, now
        refused = response.status != 200
        while not refused and time.monotonic() < end:
            line = response.readline()
            now = time.monotonic()
            silence, last = max(silence, now - last), now
            if not line:
                broken = True
                break
            if line.startswith(b"data: [DONE]"):
                done = True
                break
            if line.startswith(b"data: {"):
                event = json.loads(line[6:])
                if "error" in event:
                    broken = True
                    break
                if event.get("choices"):
                    first = first or now - begin
                    tokens += 1
                    if leaves and tokens == 4:
                        break
    except (OSError, http.client.HTTPException, ValueError):
        broken = time.monotonic() < end
    finally:
        connection.close()
    silence = max(silence, time.monotonic() - last)
    with results.lock:
        results.tokens += tokens
        results.answers += done
        results.refused += refused
        results.broken += broken
        results.left += leaves and tokens == 4
        results.silence = max(results.silence, silence)
        if head is not None:
            results.heads.append(head)
        if first is not None:
            results.firsts.append(first)
    if refused:
        time.sleep(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("url")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--head", action="store_true", help="print the names of the columns first")
    options = parser.parse_args()
    url = urllib.parse.urlparse(options.url)
    results = Results()
    end = time.monotonic() + options.seconds

    def client(number):
        rng = random.Random(number)
        turn = 0
        while time.monotonic() < end:
            turn += 1
            ask(url.hostname, url.port, number * 1000 + turn, rng, results, end)

    threads = [threading.Thread(target=client, args=(i,)) for i in range(options.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    def at(values, share):
        ordered = sorted(values)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")

    row = [options.name, options.clients, options.seconds, results.answers, results.refused, results.broken,
           results.left, round(results.tokens / options.seconds, 1), round(statistics.median(results.heads or [0]), 2),
           round(max(results.heads or [0]), 2), round(at(results.firsts, 0.5), 2), round(at(results.firsts, 0.95), 2),
           round(results.silence, 2)]
    if options.head:
        print(",".join(FIELDS))
    print(",".join(map(str, row)), flush=True)


main()
