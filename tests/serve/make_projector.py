#!/usr/bin/env python3
"""Writes a tiny projector of images (CLIP with LLaVA's two layers), whose weights are random. A model that sees with it says nothing
true about an image, but reads one as any other does.

Usage: make_projector.py OUT WIDTH      WIDTH: of the model's embeddings"""
import random
import struct
import sys

ALIGNMENT, UINT32, FLOAT, BOOL, STRING, ARRAY = 32, 4, 6, 7, 8, 9
SIDE, PATCH, VISION, FEED = 28, 14, 32, 64
PATCHES = (SIDE // PATCH) ** 2


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def key(name, kind, value):
    if kind == STRING:
        body = text(value)
    elif kind == ARRAY:
        body = struct.pack("<IQ", FLOAT, len(value)) + struct.pack(f"<{len(value)}f", *value)
    else:
        body = struct.pack({UINT32: "<I", FLOAT: "<f", BOOL: "<?"}[kind], value)
    return text(name) + struct.pack("<I", kind) + body


def main(out, width):
    keys = [key("general.architecture", STRING, "clip"), key("general.type", STRING, "mmproj"), key("general.file_type", UINT32, 0),
            key("clip.has_vision_encoder", BOOL, True), key("clip.projector_type", STRING, "mlp"), key("clip.use_gelu", BOOL, True),
            key("clip.vision.image_size", UINT32, SIDE), key("clip.vision.patch_size", UINT32, PATCH),
            key("clip.vision.embedding_length", UINT32, VISION), key("clip.vision.feed_forward_length", UINT32, FEED),
            key("clip.vision.block_count", UINT32, 2), key("clip.vision.attention.head_count", UINT32, 2),
            key("clip.vision.attention.layer_norm_epsilon", FLOAT, 1e-5), key("clip.vision.projection_dim", UINT32, width),
            key("clip.vision.image_mean", ARRAY, [0.5] * 3), key("clip.vision.image_std", ARRAY, [0.5] * 3)]
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
    infos, data = b"", b""
    for name, shape in shapes.items():
        count = 1
        for size in shape:
            count *= size
        infos += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(data))
        data += struct.pack(f"<{count}f", *(numbers.gauss(0, 0.05) for _ in range(count)))
        data += bytes(-len(data) % ALIGNMENT)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(keys)) + b"".join(keys) + infos
    with open(out, "wb") as file:
        file.write(head + bytes(-len(head) % ALIGNMENT) + data)


main(sys.argv[1], int(sys.argv[2]))
