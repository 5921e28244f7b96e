#!/usr/bin/env python3
"""Writes a tiny projector of images (CLIP with LLaVA's two layers), whose weights are random. A model that sees with it says nothing
true about an image, but reads one as any other does.

Usage: make_projector.py OUT WIDTH      WIDTH: of the model's embeddings"""
import os
import random
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import gguf_file

UINT32, FLOAT, BOOL, STRING, ARRAY = 4, 6, 7, 8, 9
SIDE, PATCH, VISION, FEED = 28, 14, 32, 64
PATCHES = (SIDE // PATCH) ** 2


def value(kind, content):
    if kind == STRING:
        return kind, gguf_file.text(content)
    if kind == ARRAY:
        return kind, struct.pack(f"<IQ{len(content)}f", FLOAT, len(content), *content)
    return kind, struct.pack({UINT32: "<I", FLOAT: "<f", BOOL: "<?"}[kind], content)


def main(out, width):
    keys = {"general.architecture": (STRING, "clip"), "general.type": (STRING, "mmproj"), "general.file_type": (UINT32, 0),
            "clip.has_vision_encoder": (BOOL, True), "clip.projector_type": (STRING, "mlp"), "clip.use_gelu": (BOOL, True),
            "clip.vision.image_size": (UINT32, SIDE), "clip.vision.patch_size": (UINT32, PATCH),
            "clip.vision.embedding_length": (UINT32, VISION), "clip.vision.feed_forward_length": (UINT32, FEED),
            "clip.vision.block_count": (UINT32, 2), "clip.vision.attention.head_count": (UINT32, 2),
            "clip.vision.attention.layer_norm_epsilon": (FLOAT, 1e-5), "clip.vision.projection_dim": (UINT32, width),
            "clip.vision.image_mean": (ARRAY, [0.5] * 3), "clip.vision.image_std": (ARRAY, [0.5] * 3)}
    # Shapes as GGUF has them: the fastest dimension first.
    shapes = {"v.class_embd": [VISION], "v.patch_embd.weight": [PATCH, PATCH, 3, VISION], "v.position_embd.weight": [VISION, PATCHES + 1],
              "mm.0.weight": [VISION, width], "mm.0.bias": [width], "mm.2.weight": [width, width], "mm.2.bias": [width]}
    for norm in ["v.pre_ln", "v.post_ln", *(f"v.blk.{i}.ln{n}" for i in range(2) for n in (1, 2))]:
        shapes |= {f"{norm}.weight": [VISION], f"{norm}.bias": [VISION]}
    for i in range(2):
        for name in ("q", "k", "v", "out"):
            shapes |= {f"v.blk.{i}.attn_{name}.weight": [VISION, VISION], f"v.blk.{i}.attn_{name}.bias": [VISION]}
        shapes |= {f"v.blk.{i}.ffn_up.weight": [VISION, FEED], f"v.blk.{i}.ffn_up.bias": [FEED],
                   f"v.blk.{i}.ffn_down.weight": [FEED, VISION], f"v.blk.{i}.ffn_down.bias": [VISION]}
    numbers = random.Random(1)
    tensors = []
    for name, shape in shapes.items():
        count = 1
        for size in shape:
            count *= size
        tensors.append((name, shape, gguf_file.F32, struct.pack(f"<{count}f", *(numbers.gauss(0, 0.05) for _ in range(count)))))
    gguf_file.write(out, {name: value(*each) for name, each in keys.items()}, tensors)


main(sys.argv[1], int(sys.argv[2]))
