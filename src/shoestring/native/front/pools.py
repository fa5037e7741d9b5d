"""Pools and means over images."""

from __future__ import annotations

from typing import Any

from shoestring.base.errors import ModelError
from shoestring.native.form import Mean, Op, Pool, Transpose, Value
from shoestring.native.front.builder import Builder
from shoestring.native.front.graph import Node
from shoestring.native.front.images import as_image, kernel_of, window


def max_pool(builder: Builder, node: Node) -> None:
    if len([name for name in node.outputs if name]) > 1:
        raise ModelError("its second output, the places of the maxima, cannot be compiled")
    source, names = builder.carried(node.inputs[0])
    image = as_image(builder, source, node)
    fields = _window(node, image)
    names[node.outputs[0]] = _pooled(builder, node, image, builder.like, fields | {"function": "max"})


def global_max_pool(builder: Builder, node: Node) -> None:
    source, names = builder.carried(node.inputs[0])
    image = as_image(builder, source, node)
    fields = {"function": "max", "kernel": image.shape[2:]}
    names[node.outputs[0]] = _pooled(builder, node, image, builder.like, fields)


def average_pool(builder: Builder, node: Node) -> None:
    source = _averaged(builder, node)
    image = as_image(builder, source, node)
    fields = _window(node, image) | {"function": "average"}
    fields["count_pads"] = bool(node.attributes.get("count_include_pad", 0))
    _enter(builder, node, image, Pool, fields, builder.shape(node.outputs[0]))


def global_average_pool(builder: Builder, node: Node) -> None:
    image = as_image(builder, _averaged(builder, node), node)
    _enter(builder, node, image, Mean, {}, (1, image.shape[1], 1, 1))


def reduce_mean(builder: Builder, node: Node) -> None:
    """Over the sides of an image, channels first or last, or the length of a sequence."""
    shape = builder.shape(node.inputs[0])
    axes = sorted(axis % len(shape) for axis in _axes(builder, node, len(shape)))
    sides = list(range(2, len(shape)))
    last = [axis - 1 for axis in sides]
    if len(shape) not in (3, 4) or axes not in (sides, last):
        raise ModelError(f"it takes the mean over axes {axes} of {shape}; over rows and columns can be compiled")
    source = _averaged(builder, node)
    if axes == last:
        order = (0, len(shape) - 1, *last)
        moved = builder.like(source, f"{node.name}/channels", tuple(shape[axis] for axis in order))
        source = builder.emit(Transpose, moved.name, (source,), moved, axes=order)
    image = as_image(builder, source, node)
    flat = (1, image.shape[1])
    wanted = builder.shape(node.outputs[0])
    _enter(builder, node, image, Mean, {}, wanted if wanted == (*flat, 1, 1) else flat)


def _axes(builder: Builder, node: Node, rank: int) -> list[int]:
    if "axes" in node.attributes:
        return [int(axis) for axis in node.attributes["axes"]]
    name = node.input(1)
    value = builder.constant(name)
    if name and value is None:
        raise ModelError("its axes are not constant")
    if value is None or value.size == 0:
        return [] if node.attributes.get("noop_with_empty_axes", 0) else list(range(rank))
    return [int(axis) for axis in value.reshape(-1)]


def _averaged(builder: Builder, node: Node) -> Value:
    """What an average reads: codes only where all readers of it want codes of one scale."""
    codes = builder.codes.get(node.inputs[0])
    if codes is not None and builder.affine(node.outputs[0]) is not None:
        return codes
    return builder.real(node.inputs[0])


def _enter(
    builder: Builder, node: Node, image: Value, op_type: type[Op], fields: dict[str, Any], shape: tuple[int, ...]
) -> None:
    """Emit an average and enter it under the graph's shape."""
    tensor = node.outputs[0]
    wanted = builder.shape(tensor)
    if len(shape) == 3:
        shape = (shape[0], shape[1], 1, shape[2])
    affine = builder.affine(tensor) if image.kind == "i8" else None
    made = builder.emit(op_type, node.name, (image,), builder.new(tensor, shape, affine), **fields)
    names = builder.reals if affine is None else builder.codes
    names[tensor] = builder.reshaped(made, f"{node.name}/shape", wanted)


def _pooled(builder: Builder, node: Node, image: Value, like: Any, fields: dict[str, Any]) -> Value:
    wanted = builder.shape(node.outputs[0])
    shape = wanted if len(wanted) == 4 else (wanted[0], wanted[1], 1, *wanted[2:])
    made = builder.emit(Pool, node.name, (image,), like(image, node.outputs[0], shape), **fields)
    return builder.reshaped(made, f"{node.name}/shape", wanted)


def _window(node: Node, image: Value) -> dict[str, Any]:
    fields = window(node, kernel_of(node), image.shape[2:])
    if fields.pop("dilations") != (1, 1):
        raise ModelError("its windows are dilated; windows without gaps can be compiled")
    if node.attributes.get("storage_order", 0):
        raise ModelError("its storage_order is set; it must be 0")
    return fields
