#!/usr/bin/env python3
"""Writes a model that ranks documents: the weights of a bundled model (llama) under the name of qwen3, with its norms of queries and keys, and a
classifier of two labels whose weights are random. Its scores say nothing true about a document, but each is the document's own.

Usage: make_reranker.py MODEL OUT"""
import random
import struct
import sys

UINT32, STRING, ARRAY, F32 = 4, 8, 9, 0
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
RANK = 4  # llama_pooling_type


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize(form)))[0]

    def text(self):
        return self.take(self.number("Q")).decode()

    def skip(self, kind):
        if kind == STRING:
            self.take(self.number("Q"))
        elif kind == ARRAY:
            kind, count = self.number("I"), self.number("Q")
            for _ in range(count):
                self.skip(kind)
        else:
            self.take(SIZES[kind])


def text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


def main(source, out):
    reader = Reader(open(source, "rb").read())
    assert reader.take(4) == b"GGUF" and reader.number("I") == 3
    tensor_count, key_count = reader.number("Q"), reader.number("Q")
    keys, numbers = [], {}
    for _ in range(key_count):
        name = reader.text()
        begin, kind = reader.at, reader.number("I")
        reader.skip(kind)
        value = reader.data[begin:reader.at]
        if kind == UINT32:
            numbers[name] = struct.unpack("<I", value[4:])[0]
        if name == "general.architecture":
            value = struct.pack("<I", STRING) + text("qwen3")
        if not name.startswith("general.") or name == "general.architecture":
            keys.append(text(name.replace("llama.", "qwen3.", 1) if name.startswith("llama.") else name) + value)
    tensors = []
    for _ in range(tensor_count):
        name = reader.text()
        shape = [reader.number("Q") for _ in range(reader.number("I"))]
        tensors.append((name, shape, reader.number("I"), reader.number("Q")))
    alignment = numbers.get("general.alignment", 32)
    start = -(-reader.at // alignment) * alignment
    ends = sorted(t[3] for t in tensors) + [len(reader.data) - start]
    weights = []
    for name, shape, kind, offset in tensors:
        weights.append((name, shape, kind, reader.data[start + offset:start + next(e for e in ends if e > offset)]))

    width, layers, heads = (numbers["llama." + k] for k in ("embedding_length", "block_count", "attention.head_count"))
    head = numbers.get("llama.attention.key_length", width // heads)
    for layer in range(layers):
        for norm in ("q", "k"):
            weights.append((f"blk.{layer}.attn_{norm}_norm.weight", [head], F32, struct.pack(f"<{head}f", *[1.0] * head)))
    numbers_drawn = random.Random(1)
    weights.append(("cls.output.weight", [width, 2], F32, struct.pack(f"<{2 * width}f", *(numbers_drawn.gauss(0, 0.05) for _ in range(2 * width)))))
    keys.append(text("qwen3.pooling_type") + struct.pack("<II", UINT32, RANK))
    keys.append(text("qwen3.classifier.output_labels") + struct.pack("<IIQ", ARRAY, STRING, 2) + text("yes") + text("no"))

    header, at = b"", 0
    for name, shape, kind, data in weights:
        header += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, at)
        at += -(-len(data) // 32) * 32
    header = b"GGUF" + struct.pack("<IQQ", 3, len(weights), len(keys)) + b"".join(keys) + header
    with open(out, "wb") as file:
        file.write(header + b"\0" * (-len(header) % 32))
        for _, _, _, data in weights:
            file.write(data + b"\0" * (-len(data) % 32))


if __name__ == "__main__":
    main(*sys.argv[1:])
