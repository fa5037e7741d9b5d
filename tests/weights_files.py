"""GGUF and safetensors files written byte by byte, so that tests can lie in any place of them."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Any

F32, Q4_0, Q8_0 = 0, 2, 8
CODES = {
    "UINT8": (0, "B"), "INT8": (1, "b"), "UINT16": (2, "H"), "INT16": (3, "h"), "UINT32": (4, "I"), "INT32": (5, "i"),
    "FLOAT32": (6, "f"), "BOOL": (7, "?"), "UINT64": (10, "Q"), "INT64": (11, "q"), "FLOAT64": (12, "d"),
}  # fmt: skip
ALIGNMENT = 32


def text(value: str | bytes, length: int | None = None) -> bytes:
    """A GGUF string, with a false length if asked for."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data) if length is None else length) + data


def scalar(kind: str, value: Any) -> bytes:
    number, code = CODES[kind]
    return struct.pack("<I" + code, number, value)


def string(value: str | bytes, length: int | None = None) -> bytes:
    return struct.pack("<I", 8) + text(value, length)


def array(kind: str, values: list[Any], *, count: int | None = None) -> bytes:
    """A list; `count` is what it claims."""
    number = 8 if kind == "STRING" else CODES[kind][0]
    data = b"".join(text(one) if kind == "STRING" else struct.pack("<" + CODES[kind][1], one) for one in values)
    return struct.pack("<IIQ", 9, number, len(values) if count is None else count) + data


@dataclass
class Info:
    """A tensor's entry; `sizes` innermost first, as the file has them."""

    name: str
    sizes: list[int]
    kind: int
    offset: int
    axes: int | None = None
    name_bytes: int | None = None

    def data(self) -> bytes:
        axes = len(self.sizes) if self.axes is None else self.axes
        sizes = struct.pack(f"<{len(self.sizes)}Q", *self.sizes)
        return (
            text(self.name, self.name_bytes)
            + struct.pack("<I", axes)
            + sizes
            + struct.pack("<IQ", self.kind, self.offset)
        )


@dataclass
class Gguf:
    """A small sound file; tests change fields, and `data` writes what they say."""

    magic: bytes = b"GGUF"
    version: int = 3
    tensor_count: int | None = None
    pair_count: int | None = None
    pairs: list[tuple[str | bytes, bytes]] = field(default_factory=lambda: list(_PAIRS))
    infos: list[Info] = field(default_factory=lambda: [Info(*info) for info in _INFOS])
    body: bytes = bytes(range(256)) * 2
    alignment: int = ALIGNMENT

    def data(self) -> bytes:
        tensors = len(self.infos) if self.tensor_count is None else self.tensor_count
        pairs = len(self.pairs) if self.pair_count is None else self.pair_count
        head = self.magic + struct.pack("<IQQ", self.version, tensors, pairs)
        head += b"".join(text(key) + value for key, value in self.pairs)
        head += b"".join(info.data() for info in self.infos)
        return head + bytes(-len(head) % self.alignment) + self.body


_PAIRS: list[tuple[str | bytes, bytes]] = [
    ("general.architecture", string("llama")),
    ("general.alignment", scalar("UINT32", ALIGNMENT)),
    ("llama.block_count", scalar("UINT32", 2)),
    ("llama.rope.freq_base", scalar("FLOAT32", 10_000.0)),
    ("tokenizer.ggml.tokens", array("STRING", [f"word{number}" for number in range(20)])),
    ("tokenizer.ggml.scores", array("FLOAT32", [-0.5 * number for number in range(20)])),
    ("tokenizer.ggml.add_bos_token", scalar("BOOL", True)),
]
# 2 x 32 floats; 2 rows of one block of 18 bytes, padded; 32 in one block of 34, padded: 256, 64 and 64 bytes.
_INFOS = [("a.weight", [32, 2], F32, 0), ("b.weight", [32, 2], Q4_0, 256), ("c.weight", [32], Q8_0, 320)]
BODY_BYTES = 384


def gguf(**changes: Any) -> bytes:
    """A file with some fields changed; sound without any."""
    return Gguf(**{"body": bytes(BODY_BYTES), **changes}).data()


def safetensors(header: Any = None, *, body: bytes | None = None, length: int | None = None) -> bytes:
    """A file; `header` is an object or bytes, `length` what the first 8 bytes state."""
    header = dict(TENSORS) if header is None else header
    data = header if isinstance(header, bytes) else json.dumps(header).encode()
    stated = len(data) if length is None else length
    return struct.pack("<Q", stated) + data + (bytes(56) if body is None else body)


TENSORS: dict[str, Any] = {
    "__metadata__": {"format": "pt"},
    "a.weight": {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 32]},
    "b.weight": {"dtype": "BF16", "shape": [2, 2, 2], "data_offsets": [32, 48]},
    "c.weight": {"dtype": "U8", "shape": [8], "data_offsets": [48, 56]},
}
