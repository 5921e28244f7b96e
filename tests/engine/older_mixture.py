#!/usr/bin/env python3
"""Writes the bundled mixture of experts as one that engines from before Qwen3 know: of the architecture llama, without the
norms of queries and keys. Its text is another one.

Usage: older_mixture.py MODEL OUT"""
import struct
import sys

SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY, ALIGNMENT = 8, 9, 32


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self):
        return self.take(self.number("<Q"))

    def value(self, kind):
        """The bytes of a value, as they are."""
        start = self.at
        if kind == STRING:
            self.text()
        elif kind == ARRAY:
            inner, count = self.number("<I"), self.number("<Q")
            for _ in range(count):
                self.value(inner)
        else:
            self.take(SIZES[kind])
        return self.data[start:self.at]


def text(value):
    return struct.pack("<Q", len(value)) + value


def main(model, out):
    with open(model, "rb") as file:
        reader = Reader(file.read())
    magic, version = reader.take(4), reader.number("<I")
    tensors, keys = reader.number("<Q"), reader.number("<Q")
    head = b""
    for _ in range(keys):
        key, kind = reader.text(), reader.number("<I")
        value = reader.value(kind)
        value = text(b"llama") if key == b"general.architecture" else value
        head += text(key.replace(b"qwen3moe.", b"llama.")) + struct.pack("<I", kind) + value
    infos = []
    for _ in range(tensors):
        name, dimensions = reader.text(), reader.number("<I")
        shape = reader.take(8 * dimensions)
        infos.append((name, dimensions, shape, reader.number("<I"), reader.number("<Q")))
    begin = (reader.at + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
    ends = [info[4] for info in infos[1:]] + [len(reader.data) - begin]
    data, kept = b"", 0
    for (name, dimensions, shape, kind, offset), end in zip(infos, ends):
        if b"attn_q_norm" in name or b"attn_k_norm" in name:
            continue
        head += text(name) + struct.pack("<I", dimensions) + shape + struct.pack("<IQ", kind, len(data))
        data += reader.data[begin + offset:begin + end]
        data += bytes(-len(data) % ALIGNMENT)
        kept += 1
    head = magic + struct.pack("<IQQ", version, kept, keys) + head
    with open(out, "wb") as file:
        file.write(head + bytes(-len(head) % ALIGNMENT) + data)


main(*sys.argv[1:])
