"""Resize: TFLite's operators where one of their rules picks the same rows and columns, or a GATHER of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.convert.tflite.emitter import Emitter
from shoestring.convert.tflite.layout import IMAGE
from shoestring.convert.tflite.windows import sides_of
from shoestring.native.form import Array, Resize

F = np.float32
WEIGHT_TOLERANCE = 1e-5
"""Of a bilinear weight: float32 coordinates of some hundred rows differ by this much between orders of operations."""


@dataclass(frozen=True)
class Rule:
    """How TFLite finds the place of an output line. Source: tflite/kernels/internal/reference/resize_*.h."""

    align_corners: bool
    half_pixel: bool

    def places(self, before: int, after: int) -> Array:
        """In the input, float32."""
        at = np.arange(after, dtype=F)
        if self.align_corners and after > 1:
            return np.asarray(at * (F(before - 1) / F(after - 1)), dtype=F)
        scale = F(before) / F(after)
        return np.asarray((at + F(0.5)) * scale if self.half_pixel else at * scale, dtype=F)

    def nearest(self, before: int, after: int) -> tuple[int, ...]:
        places = self.places(before, after)
        whole = np.floor(places + F(0.5)) if self.align_corners else np.floor(places)
        return tuple(int(n) for n in np.clip(whole, 0, before - 1))

    def linear(self, before: int, after: int) -> Array:
        """Real places for bilinear weights, inside the image."""
        places = self.places(before, after) - F(0.5 if self.half_pixel else 0.0)
        return np.asarray(np.clip(places, 0, before - 1))


RULES = (Rule(False, False), Rule(False, True), Rule(True, False))


def resize(emitter: Emitter, op: Resize) -> None:
    """RESIZE_NEAREST_NEIGHBOR or RESIZE_BILINEAR by the first rule that gives the same, else GATHER for nearest."""
    source, result = emitter.source(op), emitter.result(op)
    nearest = op.function == "nearest"
    rule = _rule(op, sides_of(source), sides_of(result))
    int8 = source.kind == "i8"
    if rule is None and not nearest:
        raise ModelError(
            "its coordinates are none of TFLite's; rewrite it with half_pixel, asymmetric or align_corners"
        )
    tensor = emitter.tensor(source.name, IMAGE)
    if rule is None:
        _gather(emitter, op, tensor)
        return
    made = emitter.new(op.output, IMAGE)
    bridged = int8 and not nearest and not emitter.integer  # int8 kernels have few bits for the weights
    target = emitter.flat.tensor(f"{op.output}/real", emitter.flat.shape(made), "float32") if bridged else made
    if bridged:
        tensor, int8 = emitter.real(source, tensor), False
    sides = emitter.flat.plain(list(sides_of(result)), "int32", "sides")
    emitter.flat.operator(
        "RESIZE_NEAREST_NEIGHBOR" if nearest else "RESIZE_BILINEAR",
        (tensor, sides),
        target,
        options="ResizeNearestNeighbor" if nearest else "ResizeBilinear",
        int8=int8,
        version=3 if rule.half_pixel or (nearest and rule.align_corners) else None,
        alignCorners=rule.align_corners,
        halfPixelCenters=rule.half_pixel,
    )
    if bridged:
        emitter.flat.operator("QUANTIZE", (target,), made, options="Quantize", version=1)


def _rule(op: Resize, before: tuple[int, int], after: tuple[int, int]) -> Rule | None:
    for rule in RULES:
        if op.function == "nearest":
            found = [rule.nearest(before[i], after[i]) for i in (0, 1)]
            if found == [op.rows, op.columns]:
                return rule
            continue
        wanted = (_places(op.rows, op.rows2, op.row_part), _places(op.columns, op.columns2, op.column_part))
        gaps = [np.abs(rule.linear(before[i], after[i]) - wanted[i]).max() for i in (0, 1)]
        if max(gaps) <= WEIGHT_TOLERANCE * max(*before, *after):
            return rule
    return None


def _places(first: tuple[int, ...], second: tuple[int, ...], part: tuple[float, ...]) -> Array:
    one, other = np.array(first, np.float64), np.array(second, np.float64)
    return np.asarray(one + (other - one) * np.array(part))


def _gather(emitter: Emitter, op: Resize, tensor: int) -> None:
    """Rows by their numbers, then columns."""
    result = emitter.result(op)
    int8 = result.kind == "i8"
    sides = emitter.flat.shape(tensor)
    between = emitter.like(result, f"{op.output}/rows", (sides[0], len(op.rows), *sides[2:]))
    rows = emitter.flat.plain(list(op.rows), "int32", "rows")
    columns = emitter.flat.plain(list(op.columns), "int32", "columns")
    version = 2 if int8 else 1
    emitter.flat.operator("GATHER", (tensor, rows), between, options="Gather", version=version, axis=1)
    made = emitter.new(op.output, IMAGE)
    emitter.flat.operator("GATHER", (between, columns), made, options="Gather", version=version, axis=2)
