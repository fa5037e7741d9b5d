"""Sections that read other layers than the one before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shoestring.importers.darknet.activations import activate

if TYPE_CHECKING:
    from shoestring.importers.darknet.cfg import Section
    from shoestring.importers.darknet.graph import Builder, Value
    from shoestring.importers.darknet.weights import Weights


def layer(build: Builder, section: Section, index: int) -> Value:
    """The result of layer `index`; counted from 0, or backwards from this one when negative.

    Raises:
        ModelError: there is no such layer before this one, or it is a head.
    """
    here = len(build.layers)
    place = here + index if index < 0 else index
    if not 0 <= place < here:
        raise section.wrong(f"it is layer {here} and reads layer {index}, which does not come before it")
    found = build.layers[place]
    if found is None:
        raise section.wrong(
            f"it reads layer {place}, a detection head", hint="heads end the network here; they are decoded outside it"
        )
    return found


def route(build: Builder, section: Section, _x: Value, name: str, _: Weights) -> Value:
    """Channels of several layers one after the other; of each, part `group_id` of `groups`."""
    parts = [layer(build, section, index) for index in section.integers("layers")]
    groups = section.integer("groups", 1, 1)
    group = section.integer("group_id", 0, 0, groups - 1)
    first = parts[0]
    if any((part.height, part.width, part.flat) != (first.height, first.width, first.flat) for part in parts):
        raise section.wrong(f"it joins layers of different sizes: {', '.join(part.size for part in parts)}")
    if any(part.channels % groups for part in parts):
        raise section.wrong(f"groups={groups} does not divide its inputs: {', '.join(part.size for part in parts)}")
    names = [part.name for part in parts]
    if groups > 1:
        names = [_part(build, part, f"{name}.part{i}", groups, group) for i, part in enumerate(parts)]
    tensor = names[0] if len(names) == 1 else build.node("Concat", names, name, axis=1)
    channels = sum(part.channels // groups for part in parts)
    return build.value(tensor, channels, first.height, first.width, flat=first.flat)


def _part(build: Builder, part: Value, name: str, groups: int, group: int) -> str:
    size = part.channels // groups
    ends = {"start": group * size, "end": (group + 1) * size, "axis": 1}
    inputs = [build.constant(f"{name}.{what}", np.asarray([value], np.int64)) for what, value in ends.items()]
    return build.node("Slice", [part.name, *inputs], name)


def shortcut(build: Builder, section: Section, x: Value, name: str, _: Weights) -> Value:
    """The sum with one or several earlier layers, of one size."""
    tensor = x.name
    sources = section.integers("from")
    for i, index in enumerate(sources):
        other = layer(build, section, index)
        if _shape(other) != _shape(x):
            raise section.wrong(
                f"it adds {other.size} to {x.size}", hint="only shortcuts between layers of one size are supported"
            )
        tensor = build.node("Add", [tensor, other.name], name if i == len(sources) - 1 else f"{name}.sum{i}")
    tensor = activate(build, section, tensor, name, "linear")
    return build.value(tensor, x.channels, x.height, x.width, flat=x.flat)


def scale_channels(build: Builder, section: Section, x: Value, name: str, _: Weights) -> Value:
    """An earlier layer with each channel times the one value that this layer's input holds for it."""
    other = layer(build, section, section.integer("from", None, -(2**31), 2**31))
    if (x.height, x.width, x.channels, x.flat) != (1, 1, other.channels, False):
        raise section.wrong(f"it scales {other.size} by {x.size}; that must be 1 x 1 x {other.channels}")
    tensor = build.node("Mul", [other.name, x.name], name)
    tensor = activate(build, section, tensor, name, "linear")
    return build.value(tensor, other.channels, other.height, other.width)


def sam(build: Builder, section: Section, x: Value, name: str, _: Weights) -> Value:
    """The product with an earlier layer, value by value."""
    other = layer(build, section, section.integer("from", None, -(2**31), 2**31))
    if _shape(other) != _shape(x):
        raise section.wrong(f"it multiplies {other.size} and {x.size}; they must be of one size")
    tensor = build.node("Mul", [other.name, x.name], name)
    tensor = activate(build, section, tensor, name, "linear")
    return build.value(tensor, x.channels, x.height, x.width, flat=x.flat)


def _shape(value: Value) -> tuple[int, int, int, bool]:
    return value.channels, value.height, value.width, value.flat
