"""Operators that move elements: shapes, orders, parts, sides, sizes."""

from __future__ import annotations

import math
from itertools import pairwise, permutations

from shoestring.base.errors import ModelError
from shoestring.convert.ncnn.building import MOST_AXES, Blob, Builder, canonical, lead
from shoestring.convert.ncnn.layers import Param
from shoestring.native.front.graph import Node, Shape

NEAREST, LINEAR = 1, 2
WHOLE = 1e-3  # elements by which a scaled side may miss a whole number: float32 scales do
_PAD_TYPES = {"constant": 0, "edge": 1, "reflect": 2}


ORDERS = {rank: {order: number for number, order in enumerate(permutations(range(rank)))} for rank in (2, 3, 4)}
"""Permute's order_type for an order of axes, outermost first. ncnn lists them innermost first, as w h d c, sorted by
the last, c before d before h before w (`src/layer/permute.cpp`): written our way, that is the plain order of tuples.
"""


def reshape(builder: Builder, node: Node) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze: the graph knows the shape that comes out."""
    builder.enter(node.outputs[0], builder.real(node.inputs[0]))


def transpose(builder: Builder, node: Node) -> None:
    """Any number of axes, as long as no more than four move apart."""
    shape = builder.shape(node.inputs[0])
    axes = tuple(int(n) for n in node.attributes.get("perm", range(len(shape))[::-1]))
    merged, order = simplified(shape, axes)
    source = builder.real(node.inputs[0])
    if len(merged) > MOST_AXES:
        raise ModelError(f"it moves {len(merged)} axes of {shape} apart; ncnn moves {MOST_AXES}: do it in two steps")
    if len(merged) > 1:
        source = builder.reshaped(source, merged)
        dims = tuple(merged[axis] for axis in order)
        bounds = (source.low, source.high)
        kind: dict[int, Param] = {0: ORDERS[len(merged)][order]}
        source = builder.emit("Permute", node.name, [source], dims, kind, bounds=bounds)
    builder.enter(node.outputs[0], source)


def simplified(shape: Shape, axes: tuple[int, ...]) -> tuple[Shape, tuple[int, ...]]:
    """The same move with axes of length 1 dropped and those that stay side by side as one."""
    kept = [axis for axis in axes if shape[axis] != 1]
    runs: list[list[int]] = []
    for axis in kept:
        between = range(runs[-1][-1] + 1, axis) if runs else range(0)
        if runs and axis > runs[-1][-1] and all(shape[i] == 1 for i in between):
            runs[-1].append(axis)
        else:
            runs.append([axis])
    by_place = sorted(runs)
    merged = tuple(math.prod(shape[axis] for axis in run) for run in by_place)
    return merged, tuple(by_place.index(run) for run in runs)


def along(builder: Builder, blob: Blob, shape: Shape, axis: int) -> tuple[Blob, int]:
    """A blob and the place of a tensor's axis in it; axes are joined where the blob has no such place."""
    dims = shape[lead(shape) :]
    place = axis - lead(shape)
    if place >= 0 and len(dims) <= MOST_AXES and blob.dims == dims:
        return blob, place
    joined = (math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))
    return builder.reshaped(blob, joined), 1


def concat(builder: Builder, node: Node) -> None:
    shape = builder.shape(node.outputs[0])
    axis = int(node.attributes["axis"]) % len(shape)
    parts = []
    place = 0
    for name in node.inputs:
        own = builder.shape(name)
        if 0 in own:
            continue
        dims = shape[lead(shape) :]
        if axis >= lead(shape) and len(dims) <= MOST_AXES:
            part, place = builder.reshaped(builder.real(name), own[lead(shape) :]), axis - lead(shape)
        else:
            joined = (math.prod(own[:axis]), own[axis], math.prod(own[axis + 1 :]))
            part, place = builder.reshaped(builder.real(name), joined), 1
        parts.append(part)
    total = sum(part.dims[place] for part in parts)
    dims = (*parts[0].dims[:place], total, *parts[0].dims[place + 1 :])
    bounds = (min(part.low for part in parts), max(part.high for part in parts))
    builder.enter(node.outputs[0], builder.emit("Concat", node.name, parts, dims, {0: place}, bounds=bounds))


def cut(builder: Builder, name: str, blob: Blob, place: int, start: int, end: int) -> Blob:
    """Elements `start` to `end` (not included) along an axis of the blob."""
    if (start, end) == (0, blob.dims[place]):
        return blob
    dims = (*blob.dims[:place], end - start, *blob.dims[place + 1 :])
    params: dict[int, Param] = {9: (start,), 10: (end,), 11: (place,)}
    return builder.emit("Crop", name, [blob], dims, params, bounds=(blob.low, blob.high))


def slices(builder: Builder, node: Node) -> None:
    """With constant bounds and steps of 1."""
    shape = builder.shape(node.inputs[0])
    starts, stops = builder.whole(node, 1, "starts"), builder.whole(node, 2, "ends")
    if starts is None or stops is None:
        raise ModelError("it has no starts or ends")
    axes = builder.whole(node, 3, "axes") or list(range(len(starts)))
    steps = builder.whole(node, 4, "steps") or [1] * len(starts)
    blob, current = builder.real(node.inputs[0]), list(shape)
    for start, stop, axis, step in zip(starts, stops, axes, steps, strict=True):
        if step != 1:
            raise ModelError(f"it takes steps of {step}; write it as Reshape, Slice with steps of 1, Reshape")
        first, last, _ = slice(start, stop, 1).indices(shape[axis])
        blob, place = along(builder, blob, tuple(current), axis % len(shape))
        blob = cut(builder, node.name, blob, place, first, last)
        current[axis] = last - first
        blob = builder.reshaped(blob, canonical(tuple(current)))
    builder.enter(node.outputs[0], blob)


def split(builder: Builder, node: Node) -> None:
    """One part for each output."""
    shape = builder.shape(node.inputs[0])
    axis = int(node.attributes.get("axis", 0)) % len(shape)
    blob, place = along(builder, builder.real(node.inputs[0]), shape, axis)
    start = 0
    for output in node.outputs:
        if not output:
            raise ModelError("one of its outputs is left out")
        side = builder.shape(output)[axis]
        builder.enter(output, cut(builder, output, blob, place, start, start + side))
        start += side


def gather(builder: Builder, node: Node) -> None:
    """With constant indices that follow each other: a part."""
    shape = builder.shape(node.inputs[0])
    axis = int(node.attributes.get("axis", 0)) % len(shape)
    indices = builder.constant(node.inputs[1])
    if indices is None or indices.ndim > 1 or indices.size == 0 or node.inputs[0] in builder.graph.constants:
        raise ModelError("it looks up rows that are not constant; keep the embedding outside the model")
    places = [int(n) % shape[axis] for n in indices.reshape(-1)]
    if any(b - a != 1 for a, b in pairwise(places)):
        raise ModelError("its indices do not follow each other; write it as Slices and a Concat")
    blob, place = along(builder, builder.real(node.inputs[0]), shape, axis)
    builder.enter(node.outputs[0], cut(builder, node.name, blob, place, places[0], places[-1] + 1))


def pad(builder: Builder, node: Node) -> None:
    """Rows, columns and channels of an image, or columns of rows."""
    mode = str(node.attributes.get("mode", "constant"))
    pads = builder.whole(node, 1, "pads")
    value = (builder.numbers(node, 2, "value") or [0.0])[0]
    shape = builder.shape(node.inputs[0])
    if pads is None or mode not in _PAD_TYPES or min(pads, default=0) < 0:
        raise ModelError(f"its mode is {mode!r} and its pads {pads}; they must be constant, 0 or more")
    axes = builder.whole(node, 3, "axes") or list(range(len(shape)))
    sides = {axis % len(shape): (pads[i], pads[i + len(axes)]) for i, axis in enumerate(axes)}
    moved = {axis - lead(shape): both for axis, both in sides.items() if any(both)}
    source = builder.real(node.inputs[0])
    rank = len(source.dims)
    if (
        min(moved, default=0) < 0
        or rank > 3
        or source.dims != shape[lead(shape) :]
        or (rank < 3 and mode != "constant")
    ):
        raise ModelError(f"it pads {sides} of {shape}; channels, rows and columns of one image can go")
    keys = {0: (7, 8), 1: (0, 1), 2: (2, 3)}
    params: dict[int, Param] = {4: _PAD_TYPES[mode], 5: value}
    for place, both in moved.items():
        params |= dict(zip(keys[place + 3 - rank], both, strict=True))
    dims = tuple(n + sum(moved.get(i, (0, 0))) for i, n in enumerate(source.dims))
    bounds = (min(source.low, value), max(source.high, value))
    builder.enter(node.outputs[0], builder.emit("Padding", node.name, [source], dims, params, bounds=bounds))


def resize(builder: Builder, node: Node) -> None:
    """Nearest and linear, where ncnn's coordinates are those of the graph."""
    before, after = builder.shape(node.inputs[0]), builder.shape(node.outputs[0])
    if len(before) != 4 or before[0] != 1 or before[:2] != after[:2]:
        raise ModelError(f"it resizes {before} to {after}; rows and columns of one image can be resized")
    scales = builder.numbers(node, 2, "scales") or []
    if len(scales) == 4 and any(abs(n * scale - m) > WHOLE for n, scale, m in zip(before, scales, after, strict=True)):
        raise ModelError(
            f"its scales {scales} do not make {after} of {before}; state sizes, or scales that divide evenly"
        )
    mode = str(node.attributes.get("mode", "nearest"))
    where = str(node.attributes.get("coordinate_transformation_mode", "half_pixel"))
    rounding = str(node.attributes.get("nearest_mode", "round_prefer_floor"))
    whole = all(b % a == 0 for a, b in zip(before, after, strict=True))
    params: dict[int, Param] = {3: after[2], 4: after[3]}
    if mode == "nearest" and (
        (where, rounding) == ("asymmetric", "floor")
        or (whole and (where, rounding) in (("half_pixel", "round_prefer_floor"), ("half_pixel", "round_prefer_ceil")))
    ):
        params[0] = NEAREST
    elif mode == "linear" and min(before[2:]) > 1 and where in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        params |= {0: LINEAR} | ({6: 1} if where == "align_corners" else {})
    else:
        raise ModelError(
            f"it resizes {before} to {after} by {mode} with {where}, {rounding}; "
            "nearest with asymmetric, floor, or linear with half_pixel or align_corners (sides above 1) can go"
        )
    source = builder.real(node.inputs[0])
    bounds = (source.low, source.high)
    builder.enter(node.outputs[0], builder.emit("Interp", node.name, [source], after[1:], params, bounds=bounds))


def depth_to_space(builder: Builder, node: Node) -> None:
    shape = builder.shape(node.inputs[0])
    if len(shape) != 4 or shape[0] != 1:
        raise ModelError(f"its input has the shape {shape}; it must be one image")
    params: dict[int, Param] = {0: int(node.attributes["blocksize"])}
    params[1] = 0 if str(node.attributes.get("mode", "DCR")) == "CRD" else 1
    source = builder.real(node.inputs[0])
    dims = builder.shape(node.outputs[0])[1:]
    builder.enter(node.outputs[0], builder.emit("PixelShuffle", node.name, [source], dims, params))
