"""A network as ncnn's two files hold it: layers with numbered parameters in a text, weights in bytes.

Facts from ncnn's own sources at commit a4d2ea1d4422c9e849f166fd7a4aefb52f942f6a: `src/paramdict.cpp` (how a parameter
is written), `src/modelbin.cpp` (how a weight is), `src/net.cpp` (the head and a line of the text).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from shoestring.native.form import Array

Number = int | float
Param = int | float | tuple[int, ...] | tuple[float, ...]

MAGIC = 7767517
_ARRAY = -23300  # key of an array is this minus the parameter's number
_PLAIN_FLOATS, _HALF_FLOATS, _BYTES = 0x00000000, 0x01306B47, 0x000D4B38
_WORD = 4  # weights start at multiples of this


@dataclass(frozen=True, eq=False)
class Weight:
    """Numbers that belong to a layer.

    Args:
        values: float32, or int8.
        tagged: ncnn reads a word in front that says how the numbers are stored. The first weight of a layer has one;
            biases and scales are always plain float32.
    """

    values: Array
    tagged: bool = False


@dataclass(frozen=True, eq=False)
class Layer:
    """One line of the text.

    Args:
        kind: ncnn's name of the operator.
        name: unique.
        bottoms, tops: blobs read and made.
        params: by number; what ncnn takes by default may be left out.
        weights: in the order in which the layer reads them.
    """

    kind: str
    name: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    params: dict[int, Param] = field(default_factory=dict)
    weights: tuple[Weight, ...] = ()


def needed(layers: Sequence[Layer], outputs: Iterable[str]) -> list[Layer]:
    """The layers that some output depends on, and all inputs."""
    wanted, kept = set(outputs), []
    for layer in reversed(layers):
        if layer.kind == "Input" or wanted.intersection(layer.tops):
            kept.append(layer)
            wanted.update(layer.bottoms)
    return kept[::-1]


def split(layers: Sequence[Layer], outputs: Sequence[str]) -> tuple[list[Layer], list[str]]:
    """A blob is read once: whatever is read more often goes through a Split.

    Args:
        layers: in order.
        outputs: blobs that are answered; each counts as one reading.

    Returns:
        The layers with Splits between them, and where the outputs are now.
    """
    counts: dict[str, int] = {}
    for name in (*(name for layer in layers for name in layer.bottoms), *outputs):
        counts[name] = counts.get(name, 0) + 1
    copies: dict[str, list[str]] = {}

    def read(name: str) -> str:
        return copies[name].pop(0) if name in copies else name

    made: list[Layer] = []
    for layer in layers:
        made.append(replace(layer, bottoms=tuple(map(read, layer.bottoms))))
        for top in layer.tops:
            if counts.get(top, 0) > 1:
                copies[top] = [f"{top}_{number}" for number in range(counts[top])]
                made.append(Layer("Split", f"split_{top}", (top,), tuple(copies[top])))
    return made, [read(name) for name in outputs]


def param_text(layers: Sequence[Layer]) -> str:
    """The text file."""
    blobs = sum(len(layer.tops) for layer in layers)
    lines = [str(MAGIC), f"{len(layers)} {blobs}"]
    for layer in layers:
        words = [layer.kind, layer.name, str(len(layer.bottoms)), str(len(layer.tops)), *layer.bottoms, *layer.tops]
        lines.append(" ".join([*words, *(_word(key, value) for key, value in sorted(layer.params.items()))]))
    return "\n".join(lines) + "\n"


def _word(key: int, value: Param) -> str:
    if isinstance(value, tuple):
        return ",".join([f"{_ARRAY - key}={len(value)}", *map(_number, value)])
    return f"{key}={_number(value)}"


def _number(value: Number) -> str:
    """Nine digits tell float32 apart; ncnn reads at most 15 characters, and takes a point or an e for a float."""
    return str(value) if isinstance(value, int) else f"{float(value):.8e}"


def weight_bytes(layers: Sequence[Layer], *, halves: bool) -> bytes:
    """The weights file.

    Args:
        layers: in order.
        halves: store tagged floats in 16 bits.
    """
    return b"".join(_stored(weight, halves) for layer in layers for weight in layer.weights)


def _stored(weight: Weight, halves: bool) -> bytes:
    if not weight.tagged:
        return weight.values.astype("<f4").tobytes()
    if weight.values.dtype == np.int8:
        return _padded(_BYTES, weight.values.tobytes())
    if halves:
        return _padded(_HALF_FLOATS, weight.values.astype("<f2").tobytes())
    return _padded(_PLAIN_FLOATS, weight.values.astype("<f4").tobytes())


def _padded(tag: int, data: bytes) -> bytes:
    return struct.pack("<I", tag) + data + bytes(-len(data) % _WORD)
