"""Reads a small GGUF file and writes it again, with other keys and tensors. For scripts that make models for tests."""
import struct

SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
UINT32, STRING, ARRAY, ALIGNMENT = 4, 8, 9, 32
F32 = 0  # of a tensor


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

    def value(self, kind):
        """The bytes of a value, as they are."""
        start = self.at
        if kind == STRING:
            self.take(self.number("Q"))
        elif kind == ARRAY:
            inner, count = self.number("I"), self.number("Q")
            for _ in range(count):
                self.value(inner)
        else:
            self.take(SIZES[kind])
        return self.data[start:self.at]


def text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


def texts(values):
    """The value of an array."""
    return struct.pack("<IQ", STRING, len(values)) + b"".join(text(value) for value in values)


def read(path):
    """Its keys as {name: (kind, bytes)}, its tensors as [(name, shape, kind, bytes)], both in their order."""
    with open(path, "rb") as file:
        reader = Reader(file.read())
    assert reader.take(4) == b"GGUF" and reader.number("I") == 3
    tensor_count, key_count = reader.number("Q"), reader.number("Q")
    keys, infos = {}, []
    for _ in range(key_count):
        name, kind = reader.text(), reader.number("I")
        keys[name] = (kind, reader.value(kind))
    for _ in range(tensor_count):
        name = reader.text()
        shape = [reader.number("Q") for _ in range(reader.number("I"))]
        infos.append((name, shape, reader.number("I"), reader.number("Q")))
    begin = (reader.at + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
    ends = [info[3] for info in infos[1:]] + [len(reader.data) - begin]
    return keys, [(name, shape, kind, reader.data[begin + at:begin + end]) for (name, shape, kind, at), end in zip(infos, ends)]


def write(path, keys, tensors):
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    head += b"".join(text(name) + struct.pack("<I", kind) + value for name, (kind, value) in keys.items())
    data = b""
    for name, shape, kind, content in tensors:
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, len(data))
        data += content + bytes(-len(content) % ALIGNMENT)
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % ALIGNMENT) + data)
