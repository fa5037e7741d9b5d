"""Padding moved into windows and out of them, and steps through a map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoestring.compress.graph import attribute
from shoestring.legalise.padding import padding_of, window_of
from shoestring.legalise.rewrites.change import Change, instead
from shoestring.legalise.rewrites.signs import never_negative
from shoestring.legalise.site import Site, producer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import onnx

LOWEST = float(np.finfo(np.float32).min)


def pad_into_conv(site: Site) -> Change | None:
    """Zeros around a map become padding of the convolution that reads it."""
    found = _pad_before(site)
    if found is None or found[2] != 0:
        return None
    return Change((_padded(site, found),), (found[0], site.node))


def pad_into_average(site: Site) -> Change | None:
    """Zeros around a map become padding of the average pool, which then counts them."""
    found = _pad_before(site)
    if found is None or found[2] != 0 or site.attribute("ceil_mode", 0):
        return None
    if any(padding_of(site) or ()) and not site.attribute("count_include_pad", 0):
        return None
    return Change((_padded(site, found, count_include_pad=1),), (found[0], site.node))


def pad_into_max(site: Site) -> Change | None:
    """What no maximum can pick becomes padding: the lowest value, or zeros around what is never negative."""
    found = _pad_before(site)
    if found is None or site.attribute("ceil_mode", 0):
        return None
    pad, pads, value = found
    window = window_of(site)
    half = len(pads) // 2
    if window is None or max(pads) >= min(window) or half != len(window):
        return None
    if value > LOWEST and not (value == 0 and never_negative(site, pad.input[0])):
        return None
    return Change((_padded(site, found),), (pad, site.node))


def pad_out_of_max(site: Site) -> Change | None:
    """Zeros written around what is never negative, and a pool without padding."""
    x, window, shape = site.node.input[0], window_of(site), site.shape(site.output)
    size, pads = site.shape(site.node.input[0]), padding_of(site)
    if window is None or shape is None or size is None or pads is None or not never_negative(site, x):
        return None
    strides = site.attribute("strides", [1] * len(window))
    if set(site.attribute("dilations", [1])) != {1} or len([name for name in site.node.output if name]) > 1:
        return None
    first = pads[: len(window)]
    last = [
        max((out - 1) * stride + kernel - length - begin, 0)
        for out, stride, kernel, length, begin in zip(shape[2:], strides, window, size[2:], first, strict=True)
    ]
    padded = _zeros_around(site, x, [*first, *last])
    return instead(site, padded, site.step("MaxPool", [padded.output[0]], kernel_shape=window, strides=strides))


def pad_out_of_average(site: Site) -> Change | None:
    """Zeros written around the map, and an average without padding, for a pool that counts its padding."""
    window, pads = window_of(site), padding_of(site)
    if window is None or not pads or not any(pads) or not site.attribute("count_include_pad", 0):
        return None
    if site.attribute("ceil_mode", 0) or set(site.attribute("dilations", [1])) != {1}:
        return None
    padded = _zeros_around(site, site.node.input[0], pads)
    strides = site.attribute("strides", [1] * len(window))
    return instead(site, padded, site.step("AveragePool", [padded.output[0]], kernel_shape=window, strides=strides))


def steps_as_pool(site: Site) -> Change | None:
    """Every n-th row or column: a slice without steps, and a pool of one value with a stride of n."""
    x, shape = site.node.input[0], site.shape(site.node.input[0])
    starts, ends, steps = (site.stored(index) for index in (1, 2, 4))
    if shape is None or len(shape) != 4 or starts is None or ends is None or steps is None:
        return None
    axes = site.stored(3) if site.given(3) is not None else np.arange(len(starts))
    if axes is None or np.any(steps < 1):
        return None
    strides, first, last, kept = [1, 1], [], [], []
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        axis, size = int(axis) % 4, shape[int(axis) % 4]
        begin, stop = _inside(int(start), size), _inside(int(end), size)
        if (step > 1 and axis < 2) or stop <= begin:
            return None
        if axis >= 2:
            strides[axis - 2] = int(step)
        if (begin, stop) != (0, size):
            first.append(begin)
            last.append(stop)
            kept.append(axis)
    nodes = []
    if kept:
        names = [site.constant(name, value, "int64") for name, value in (("from", first), ("to", last), ("on", kept))]
        nodes.append(site.step("Slice", [x, *names], "part"))
    source = nodes[0].output[0] if nodes else x
    return instead(site, *nodes, site.step("MaxPool", [source], kernel_shape=[1, 1], strides=strides))


def _inside(position: int, size: int) -> int:
    return min(max(position + size if position < 0 else position, 0), size)


def _zeros_around(site: Site, x: str, pads: Sequence[int]) -> onnx.NodeProto:
    half = len(pads) // 2
    whole = [0, 0, *pads[:half], 0, 0, *pads[half:]]
    return site.step("Pad", [x, site.constant("pads", whole, "int64")], "padded", mode="constant")


def _pad_before(site: Site) -> tuple[onnx.NodeProto, list[int], float] | None:
    """A constant Pad of the spatial axes alone, whose result only this node reads: node, spatial pads, value."""
    pad = producer(site, site.given(0), "Pad")
    if pad is None or site.attribute("auto_pad", "NOTSET") != "NOTSET":
        return None
    there = Site(site.graph, site.view, pad)
    pads, value = there.integers(1, "pads"), there.stored(2)
    if there.attribute("mode", "constant") != "constant" or there.given(3) is not None or not pads:
        return None
    if there.given(2) is not None and value is None:
        return None
    half = len(pads) // 2
    if any(pads[:2]) or any(pads[half : half + 2]) or min(pads) < 0:
        return None
    return pad, [*pads[2:half], *pads[half + 2 :]], 0.0 if value is None else float(value.item())


def _padded(site: Site, found: tuple[onnx.NodeProto, list[int], float], **attributes: Any) -> onnx.NodeProto:
    """The node with the pads of `found` added to its own, reading what the Pad read."""
    pad, pads, _ = found
    own = site.attribute("pads", [0] * len(pads))
    kept = {item.name: attribute(site.node, item.name, None) for item in site.node.attribute}
    both = [one + other for one, other in zip(own, pads, strict=True)]
    return site.step(
        site.node.op_type, [pad.input[0], *list(site.node.input)[1:]], **{**kept, "pads": both, **attributes}
    )
