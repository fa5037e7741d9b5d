"""Resize: which rows and columns of the source every output row and column is made of.

Coordinates are computed in float32 in the order of operations of ONNX Runtime, whose rounding decides ties.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from shoestring.base.errors import ModelError
from shoestring.native.form import Array, Resize
from shoestring.native.front.builder import Builder, affine_of_value
from shoestring.native.front.graph import Node

F = np.float32
MODES = {"nearest": "nearest", "linear": "bilinear"}


@dataclass(frozen=True)
class Line:
    """One axis: sides of input and output, and output / input as the graph states it."""

    before: int
    after: int
    scale: np.float32


def resize(builder: Builder, node: Node) -> None:
    """Nearest or linear over rows and columns."""
    mode = str(node.attributes.get("mode", "nearest"))
    if mode not in MODES:
        raise ModelError(f"its mode is {mode!r}; nearest and linear can be compiled")
    if node.attributes.get("antialias", 0):
        raise ModelError("its antialias is set; it must be 0")
    before, after = builder.shape(node.inputs[0]), builder.shape(node.outputs[0])
    if len(before) != 4 or before[0] != 1 or before[:2] != after[:2]:
        raise ModelError(f"it resizes {before} to {after}; rows and columns of one image can be resized")
    scales = _scales(builder, node, before, after)
    lines = [Line(before[i], after[i], scales[i - 2]) for i in (2, 3)]
    fields = _nearest(node, lines) if mode == "nearest" else _linear(node, lines)
    source, names = builder.carried(node.inputs[0])
    if mode == "linear" and source.kind == "i8" and builder.affine(node.outputs[0]) != affine_of_value(source):
        # Codes would be rounded to the input's scale first.
        source, names = builder.real(node.inputs[0]), builder.reals
    made = builder.like(source, node.outputs[0], after)
    names[node.outputs[0]] = builder.emit(Resize, node.name, (source,), made, function=MODES[mode], **fields)


def _scales(builder: Builder, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> list[np.float32]:
    """Of rows and columns: those given, else the ratio of the sizes."""
    ratios = [F(after[i]) / F(before[i]) for i in (2, 3)]
    name = node.input(2)
    given = builder.constant(name)
    if not name or (given is not None and given.size == 0):
        return ratios
    if given is None:
        raise ModelError("its scales are not constant")
    axes = [int(axis) % 4 for axis in node.attributes.get("axes", range(4))]
    by_axis = dict(zip(axes, (F(n) for n in given.reshape(-1)), strict=False))
    return [by_axis.get(i, ratios[i - 2]) for i in (2, 3)]


def _source(node: Node, line: Line) -> Array:
    """Place in the input of every output line: float32."""
    mode = str(node.attributes.get("coordinate_transformation_mode", "half_pixel"))
    at, half = np.arange(line.after, dtype=F), F(0.5)
    centred = (at + half) / line.scale - half
    if mode == "asymmetric":
        return np.asarray(at / line.scale, dtype=F)
    if mode == "align_corners":
        if line.after == 1:
            return np.zeros(1, F)
        return np.asarray(at * F(line.before - 1) / F(line.after - 1), dtype=F)
    if mode == "pytorch_half_pixel" and line.after == 1:
        return np.zeros(1, F)
    if mode == "half_pixel_symmetric":
        middle = F(line.before) / F(2)
        return np.asarray(middle * (F(1) - F(line.after) / (line.scale * F(line.before))) + centred, dtype=F)
    if mode not in ("half_pixel", "pytorch_half_pixel"):
        raise ModelError(f"its coordinate_transformation_mode is {mode!r}, which cannot be compiled")
    return np.asarray(centred, dtype=F)


def _nearest(node: Node, lines: list[Line]) -> dict[str, Any]:
    rounding = str(node.attributes.get("nearest_mode", "round_prefer_floor"))
    found = []
    for line in lines:
        at = _source(node, line)
        # A line of unchanged size is copied, whatever the coordinates say.
        if line.scale == 1 and line.before == line.after:
            places = np.arange(line.after)
        elif rounding == "round_prefer_floor":
            places = np.ceil(at - F(0.5))
        elif rounding == "round_prefer_ceil":
            places = np.floor(at + F(0.5))
        elif rounding == "floor":
            places = np.floor(at)
        elif rounding == "ceil":
            places = np.ceil(at)
        else:
            raise ModelError(f"its nearest_mode is {rounding!r}, which cannot be compiled")
        found.append(tuple(int(n) for n in np.clip(places, 0, line.before - 1)))
    return {"rows": found[0], "columns": found[1]}


def _linear(node: Node, lines: list[Line]) -> dict[str, Any]:
    first, second, part = [], [], []
    for line in lines:
        at = np.clip(_source(node, line), F(0), F(line.before - 1))
        low = np.floor(at).astype(np.int64)
        first.append(tuple(int(n) for n in low))
        second.append(tuple(int(n) for n in np.minimum(low + 1, line.before - 1)))
        part.append(tuple(float(n) for n in at - low.astype(F)))
    return {
        "rows": first[0],
        "columns": first[1],
        "rows2": second[0],
        "columns2": second[1],
        "row_part": part[0],
        "column_part": part[1],
    }
