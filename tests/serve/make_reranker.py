#!/usr/bin/env python3
"""Writes a model that ranks documents: the weights of a bundled model (llama) under the name of qwen3, with its norms of queries and keys, and a
classifier of two labels whose weights are random. Its scores say nothing true about a document, but each is the document's own.

Usage: make_reranker.py MODEL OUT"""
import os
import random
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import gguf_file
from gguf_file import F32

RANK = 4  # llama_pooling_type


def floats(values):
    return struct.pack(f"<{len(values)}f", *values)


def main(model, out):
    keys, tensors = gguf_file.read(model)
    width, layers, heads = (struct.unpack("<I", keys["llama." + name][1])[0] for name in ("embedding_length", "block_count", "attention.head_count"))
    keys["general.architecture"] = (gguf_file.STRING, gguf_file.text("qwen3"))
    del keys["general.name"]
    keys = {name.replace("llama.", "qwen3.") if name.startswith("llama.") else name: value for name, value in keys.items()}
    keys["qwen3.pooling_type"] = (gguf_file.UINT32, struct.pack("<I", RANK))
    keys["qwen3.classifier.output_labels"] = (gguf_file.ARRAY, gguf_file.texts(["yes", "no"]))
    head = width // heads
    for layer in range(layers):
        tensors += [(f"blk.{layer}.attn_{norm}_norm.weight", [head], F32, floats([1.0] * head)) for norm in ("q", "k")]
    drawn = random.Random(1)
    tensors.append(("cls.output.weight", [width, 2], F32, floats([drawn.gauss(0, 0.05) for _ in range(2 * width)])))
    gguf_file.write(out, keys, tensors)


main(*sys.argv[1:])
