#!/usr/bin/env python3
"""Text of several kinds and languages from Debian packages, as tokens in one file, for train.py.

Usage: prepare_text.py FILE.xz [--packages FOLDER]
Packages are downloaded with apt-get and unpacked in a temporary folder (or FOLDER, which is kept); nothing is installed.
The file: one line of JSON (kinds with the places of their tokens, the vocabulary's bytes in hexadecimal), then 16 bits for each token.
"""

import argparse
import array
import bz2
import collections
import fnmatch
import gzip
import hashlib
import heapq
import html
import io
import json
import lzma
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib

# For each kind: packages, and the files of them that are text.
LANGUAGES = {"german": "de", "french": "fr", "spanish": "es", "russian": "ru", "japanese": "ja", "chinese": "zh", "polish": "pl"}
KINDS = {
    "english-prose": (["r-cran-janeaustenr", "anarchism", "dict-devil", "dict-jargon", "fortunes", "bible-kjv-text"],
                      ["*/data/Rdata.rdb", "*/doc/anarchism/*.html", "*.dict.dz", "*/games/fortunes/*"]),
    "english-dictionary": (["dict-gcide", "dict-foldoc"], ["*.dict.dz"]),
    "english-manual": (["manpages", "manpages-dev", "git-doc", "python3.11-doc"], ["*/man/man*/*.gz", "*/RelNotes/*.txt", "*/git/*.txt", "*.rst.txt"]),
    "database-manual": (["postgresql-doc-15"], ["*/html/*.html"]),
    "c": (["openafs-modules-source", "lttng-modules-dkms"], ["*.c", "*.h", "*.tar.bz2"]),
    "python": (["libpython3.11-stdlib"], ["*.py"]),
    "go": (["golang-1.19-src"], ["*/src/*.go"]),
    "rust": (["rust-src"], ["*/library/*.rs", "*/compiler/*.rs"]),
    "java": (["openjdk-17-source"], ["*/src.zip"]),
    "lisp": (["emacs-el"], ["*.el.gz"]),
    "perl": (["perl-modules-5.36"], ["*.pm", "*.pl"]),
}
for language, code in LANGUAGES.items():
    packages = {"ja": ["manpages-ja", "manpages-ja-dev"], "zh": ["manpages-zh"]}.get(code, [f"manpages-{code}", f"manpages-{code}-dev"])
    packages.append("libreoffice-help-" + {"zh": "zh-cn"}.get(code, code))
    packages += {"zh": ["debian-reference-zh-cn", "fortunes-zh"], "ja": ["debian-reference-ja"], "pl": ["fortunes-pl"], "ru": ["fortunes-ru"],
                 "de": ["debian-reference-de", "fortunes-de"], "fr": ["debian-reference-fr"], "es": ["debian-reference-es", "fortunes-es"]}[code]
    KINDS[language] = (packages, [f"*/man/{code}*/man*/*.gz", "*/help/*/text/*.html", "*/debian-reference/*.html", "*/games/fortunes/*"])
UNWANTED = ["*.dat", "*.u8", "*/testdata/*", "*/doc/*/copyright", "*changelog*", "*/unicode/tables.go", "*_test.go", "*/tests/*", "*/unicore/*"]

KIND_BYTES = 6_500_000
HELD_OUT = 0.03          # of each kind's tokens, whole documents
VOCABULARY = 16384
END = 256                # the token after each document; those below it are bytes
# Words with the space before them, numbers, signs, the beginning of a line.
PIECES = re.compile(r" ?[^\W\d_]{1,16}| ?\d{1,3}|\n[ \t]{0,32}| ?[^\w\s]{1,4}|[ \t]{2,32}|.", re.DOTALL)


def unpack(packages, folder):
    missing = [name for name in packages if not os.path.isdir(os.path.join(folder, name))]
    with tempfile.TemporaryDirectory(dir=folder) as archives:
        if missing:
            subprocess.run(["apt-get", "download", *missing], cwd=archives, check=True, stdout=subprocess.DEVNULL)
        for archive in sorted(os.listdir(archives)):
            subprocess.run(["dpkg", "-x", os.path.join(archives, archive), os.path.join(folder, archive.split("_")[0])], check=True)


def without_tags(text):
    """The text of a page of HTML."""
    text = re.sub(r"(?is)<(script|style|head|nav).*?</\1>", " ", text)
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"(?i)<(p|div|h\d|li|tr|br|pre|dt|dd)\b[^>]*>", "\n", text)
    return re.sub(r"\n[ \n]+", "\n", html.unescape(re.sub(r"<[^>]*>", "", text)))


def without_roff(text):
    """The prose of a manual page."""
    lines = []
    for line in text.split("\n"):
        if line.startswith((".SH", ".SS", ".B ", ".I ", ".BR", ".IR", ".BI", ".Sh")):
            line = line.split(" ", 1)[-1].replace('"', "")
        elif line.startswith((".", "'")):
            continue
        lines.append(re.sub(r"\\f\(?[A-Z]{1,2}|\\f[BIRP1-4]|\\[&/|,]|\\s[-+]?\d", "", line).replace("\\-", "-").replace("\\(aq", "'").replace("\\e", "\\"))
    return "\n".join(lines)


def strings_of_r(data):
    """The lines of text in R's file of lazily loaded data: blocks of zlib, in them strings with their lengths."""
    for start in (found.start() for found in re.finditer(b"\x78[\x9c\xda\x5e\x01]", data)):
        try:
            block = zlib.decompressobj().decompress(data[start:])
        except zlib.error:
            continue
        lines, at = [], 0
        while (at := block.find(b"\x00\x04\x00\x09", at)) >= 0:
            size = int.from_bytes(block[at + 4:at + 8], "big")
            lines.append(block[at + 8:at + 8 + size])
            at += 8 + size
        if len(lines) > 1000:
            yield b"\n".join(lines)


def documents(path, data, patterns):
    """Name and text of each document in a file."""
    if path.endswith((".gz", ".dz")):
        yield from documents(path[:-3], gzip.decompress(data), patterns)
    elif path.endswith(".tar.bz2"):
        with tarfile.open(fileobj=io.BytesIO(bz2.decompress(data))) as archive:
            for member in archive:
                if member.isfile() and member.name.endswith((".c", ".h")):
                    yield from documents(member.name, archive.extractfile(member).read(), patterns)
    elif path.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                if name.startswith("java.base/") and name.endswith(".java"):
                    yield from documents(name, archive.read(name), patterns)
    elif path.endswith(".rdb"):
        for number, text in enumerate(strings_of_r(data)):
            yield from documents(f"{path}/{number}", text, patterns)
    else:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            return
        if "/man/" in path:
            text = without_roff(text)
        elif path.endswith(".html"):
            text = without_tags(text)
        text = re.sub(r"\n\s*\n\s*\n+", "\n\n", text.replace("\r", "").replace("\t", "    ")).strip()
        for part in range(0, len(text), 100_000):       # a dictionary is many documents
            if len(text) - part > 200:
                yield f"{path}#{part}", text[part:part + 100_000]


def read_kind(packages, patterns, folder):
    """The kind's documents in an order that looks random but stays, without lines that all of them share."""
    found = []
    for package in packages:
        for where, _, files in os.walk(os.path.join(folder, package)):
            for name in files:
                path = os.path.join(where, name)
                if os.path.islink(path) or not any(fnmatch.fnmatch(path, p) for p in patterns) or any(fnmatch.fnmatch(path, p) for p in UNWANTED):
                    continue
                with open(path, "rb") as file:
                    found += documents(os.path.relpath(path, folder), file.read(), patterns)
    found.sort(key=lambda document: hashlib.md5(document[0].encode()).digest())
    seen, chosen, size = collections.Counter(), [], 0
    for _, text in found:
        lines = text.split("\n")
        for line in set(lines):
            seen[line] += 1
        text = "\n".join(line for line in lines if len(line) < 24 or seen[line] < 4)
        chosen.append(text)
        size += len(text.encode())
        if size > KIND_BYTES:
            break
    return chosen


def learn_merges(counts, merges):
    """Byte pair encoding: the pairs of tokens to join, the first first."""
    words = [(list(word.encode()), count) for word, count in counts.most_common(250_000) if count > 2]
    pairs, where = collections.Counter(), collections.defaultdict(set)
    for index, (tokens, count) in enumerate(words):
        for pair in zip(tokens, tokens[1:]):
            pairs[pair] += count
            where[pair].add(index)
    heap = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(heap)
    learned = []
    while len(learned) < merges and heap:
        count, pair = heapq.heappop(heap)
        if pairs[pair] != -count:
            if pairs[pair] > 0:
                heapq.heappush(heap, (-pairs[pair], pair))
            continue
        token = END + 1 + len(learned)
        learned.append(pair)
        changed = set()
        for index in where.pop(pair):
            tokens, weight = words[index]
            for old in zip(tokens, tokens[1:]):
                pairs[old] -= weight
                changed.add(old)
            tokens[:] = join(tokens, pair, token)
            for new in zip(tokens, tokens[1:]):
                pairs[new] += weight
                where[new].add(index)
                changed.add(new)
        for each in changed:
            if each != pair and pairs[each] > 0:
                heapq.heappush(heap, (-pairs[each], each))
        del pairs[pair]
    return learned


def join(tokens, pair, joined):
    result, i = [], 0
    while i < len(tokens):
        if i + 1 < len(tokens) and tokens[i] == pair[0] and tokens[i + 1] == pair[1]:
            result.append(joined)
            i += 2
        else:
            result.append(tokens[i])
            i += 1
    return result


class Encoder:
    def __init__(self, merges):
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}
        self.known = {}

    def piece(self, piece):
        tokens = list(piece.encode())
        while len(tokens) > 1:
            rank, pair = min((self.ranks.get(pair, len(self.ranks)), pair) for pair in zip(tokens, tokens[1:]))
            if rank == len(self.ranks):
                break
            tokens = join(tokens, pair, END + 1 + rank)
        return tokens

    def text(self, text, tokens):
        for piece in PIECES.findall(text):
            known = self.known.get(piece)
            if known is None:
                known = self.known[piece] = self.piece(piece)
            tokens.extend(known)
        tokens.append(END)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--packages", help="folder for the unpacked packages")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = os.path.abspath(arguments.packages or temporary)
        unpack(sorted({name for packages, _ in KINDS.values() for name in packages}), folder)
        texts = {}
        for kind, (packages, patterns) in KINDS.items():
            texts[kind] = read_kind(packages, patterns, folder)
            print(f"{kind}: {len(texts[kind])} documents, {sum(len(t.encode()) for t in texts[kind]) / 1e6:.1f} MB", file=sys.stderr, flush=True)
    counts = collections.Counter(piece for documents in texts.values() for text in documents for piece in PIECES.findall(text))
    print(f"{counts.total()} pieces, {len(counts)} different ones", file=sys.stderr, flush=True)
    merges = learn_merges(counts, VOCABULARY - END - 1)
    vocabulary = [bytes([byte]) for byte in range(256)] + [b""]
    for first, second in merges:
        vocabulary.append(vocabulary[first] + vocabulary[second])
    encoder, tokens, kinds = Encoder(merges), array.array("H"), []
    for kind, documents in texts.items():
        begin, ends = len(tokens), []
        for text in documents:
            encoder.text(text, tokens)
            ends.append(len(tokens))
        split = max(end for end in ends if len(tokens) - end >= HELD_OUT * (len(tokens) - begin))
        kinds.append({"kind": kind, "begin": begin, "held_out": split, "end": len(tokens)})
        print(f"{kind}: {len(tokens) - begin} tokens, {len(tokens) - split} of them held out", file=sys.stderr, flush=True)
    head = json.dumps({"kinds": kinds, "end_token": END, "vocabulary": [token.hex() for token in vocabulary]})
    with lzma.open(arguments.file, "wb", preset=9) as file:
        file.write(head.encode() + b"\n" + tokens.tobytes())
    print(f"{len(tokens)} tokens in {os.path.getsize(arguments.file) / 1e6:.1f} MB", file=sys.stderr)


if __name__ == "__main__":
    main()
