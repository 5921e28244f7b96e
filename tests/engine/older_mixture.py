#!/usr/bin/env python3
"""Writes the bundled mixture of experts as one that engines from before Qwen3 know: of the architecture llama, without the
norms of queries and keys. Its text is another one.

Usage: older_mixture.py MODEL OUT"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import gguf_file


def main(model, out):
    keys, tensors = gguf_file.read(model)
    keys["general.architecture"] = (gguf_file.STRING, gguf_file.text("llama"))
    keys = {name.replace("qwen3moe.", "llama."): value for name, value in keys.items()}
    gguf_file.write(out, keys, [tensor for tensor in tensors if "attn_q_norm" not in tensor[0] and "attn_k_norm" not in tensor[0]])


main(*sys.argv[1:])
