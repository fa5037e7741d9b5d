"""What all emitters share: the program with its plan, the blob that grows, and the kernels that are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.native.form import Clamp, Program, Value
from shoestring.native.pack import Array, Blob, overflows_pairs
from shoestring.native.plan import Plan
from shoestring.native.storage import Storage
from shoestring.native.vectors import Vector


@dataclass
class Context:
    """State of one emission.

    Args:
        program: in execution order.
        plan: of it.
        vector: layout of the target's vectors.
        signed: codes are stored shifted by 128.
        blob: grows.
        headers: kernels in use.
        blocks: sizes in use by kernel family: pixels and vectors, or the parameters of a depthwise kernel.
        tables: static constants, as C text.
        wide: some weights overflow the 16 bits of a pair of products.
    """

    program: Program
    plan: Plan
    vector: Vector
    signed: bool
    blob: Blob = field(default_factory=Blob)
    headers: set[str] = field(default_factory=set)
    blocks: dict[str, set[tuple[int, ...]]] = field(default_factory=dict)
    tables: list[str] = field(default_factory=list)
    wide: bool = False

    def storage(self, name: str) -> Storage:
        return self.plan.storages[name]

    def value(self, name: str) -> Value:
        return self.program.values[name]

    def stored(self, code: int) -> int:
        """A code in storage form."""
        return code - 128 if self.signed else code

    def table(self, kind: str, name: str, items: list[int] | tuple[int, ...]) -> str:
        """A static array of integers; returns its name."""
        text = ", ".join(str(item) for item in items)
        self.tables.append(f"static const {kind} {name}[{len(items)}] = {{{text}}};")
        return name

    def add_packed(self, packed: Array, vectors: int = 1) -> int:
        """Append packed weights to the blob and return their offset. `vectors` is that of `overflows_pairs`."""
        self.wide = self.wide or overflows_pairs(self.vector, packed, vectors)
        return self.blob.add(packed)

    def use_panels(self, family: str, panels: tuple[int, ...]) -> None:
        """All block sizes of these panels are needed."""
        for vectors in set(panels):
            sizes = {(pixels, vectors) for pixels in range(1, self.vector.pixels[vectors - 1] + 1)}
            self.blocks.setdefault(family, set()).update(sizes)


def real(x: float | np.floating[Any]) -> str:
    """A float32 constant in C."""
    x = float(np.float32(x))
    if np.isinf(x):
        return "INFINITY" if x > 0 else "-INFINITY"
    return f"{x!r}f" if x >= 0 else f"({x!r}f)"


def flag(x: bool) -> str:
    return "true" if x else "false"


def weights(offset: int, kind: str) -> str:
    """A pointer into the blob."""
    return f"(const {kind} *)(const void *)(f->weights + {offset})"


def bounds(clamp: Clamp, value: Value) -> tuple[str, str, bool]:
    """Lower and upper bound of an output relative to its zero point, and whether the code's type alone bounds it."""
    if value.kind == "f32":
        low = -np.inf if clamp.low is None else clamp.low
        high = np.inf if clamp.high is None else clamp.high
        return real(low), real(high), clamp.low is None and clamp.high is None
    low = 0 if clamp.low is None else clamp.low
    high = 255 if clamp.high is None else clamp.high
    return real(low - value.zero), real(high - value.zero), (low, high) == (0, 255)


def loops(
    shape: tuple[int, ...],
    a: tuple[int, ...],
    b: tuple[int, ...] | None = None,
    out: tuple[int, ...] | None = None,
    *,
    innermost: bool = True,
) -> str:
    """An ss_loops constant: axes that can be walked as one are joined, missing ones have length 1.

    Args:
        shape: of what is walked.
        a, b, out: strides on every axis.
        innermost: the last axis is walked by the innermost loop; else that one has length 1, for the caller's own.
    """
    zeros = (0,) * len(shape)
    axes = [
        (size, sa, sb, so) for size, sa, sb, so in zip(shape, a, b or zeros, out or zeros, strict=True) if size != 1
    ]
    joined: list[tuple[int, ...]] = []
    for axis in axes:
        last = joined[-1] if joined else None
        if last is not None and all(last[i] == axis[i] * axis[0] for i in (1, 2, 3)):
            joined[-1] = (last[0] * axis[0], *axis[1:])
        else:
            joined.append(axis)
    most = 6 if innermost else 5
    if len(joined) > most:
        raise ModelError(f"a tensor of shape {shape} needs {len(joined)} nested loops, more than the limit of {most}")
    rows = [(1, 0, 0, 0)] * (most - len(joined)) + joined + [(1, 0, 0, 0)] * (6 - most)
    if rows[5][0] == 1:
        rows[5] = (1, 1, 0, 1)
    columns = ["{" + ", ".join(str(row[i]) for row in rows) + "}" for i in range(4)]
    return "{" + ", ".join(columns) + "}"
