"""A graph in an older operator set: the same operators as they were written then.

ONNX's own converter has no way down for most of them. Here inputs become the attributes that they were, attributes that
say what was always so are left out, and everything else is refused by name; ONNX's checker has the last word.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper

from shoestring.base.errors import ModelError
from shoestring.compress.graph import attribute
from shoestring.legalise.site import Site, look_at

if TYPE_CHECKING:
    from shoestring.compress.graph import Graph

AXES_AS_INPUT = 18
REDUCTIONS = frozenset(
    {"ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp"}
    | {"ReduceSumSquare"}
)
"""Whose axes are an input since set 18; those of ReduceSum are since set 13."""

IR_OF = {13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8}
"""Operator set -> format version of the release of ONNX that brought it (docs/Versioning.md of ONNX)."""

HARMLESS = {
    ("Resize", "keep_aspect_ratio_policy"): "stretch",
    ("Cast", "saturate"): 1,
    ("Cast", "round_mode"): "up",
    ("BatchNormalization", "training_mode"): 0,
}
"""Attributes that older sets lack, with the value that says what was always so; beside the defaults of the schemas."""


def lower_opset(graph: Graph, opset: int) -> str:
    """Write a graph in an older operator set, in place.

    Args:
        graph: in a newer one.
        opset: 13 or later.

    Returns:
        What was done, in words.

    Raises:
        ModelError: an operator or a setting that the older set has no word for.
    """
    before, view = graph.opset, look_at(graph)
    graph.nodes = [_lowered(Site(graph, view, node), opset) for node in graph.nodes]
    graph.reindex()
    for item in graph.proto.opset_import:
        if item.domain in ("", "ai.onnx"):
            item.version = opset
    graph.proto.ir_version = min(graph.proto.ir_version, IR_OF.get(opset, graph.proto.ir_version))
    try:
        onnx.checker.check_model(onnx.ModelProto.FromString(graph.to_bytes()), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(
            f"the model cannot be written in operator set {opset}: {str(error).splitlines()[0][:200]}",
            hint="export it in an older operator set",
        ) from error
    return f"operator set lowered from {before} to {opset}"


def _lowered(site: Site, opset: int) -> onnx.NodeProto:
    node = site.node
    if node.domain not in ("", "ai.onnx"):
        return node
    try:
        old = onnx.defs.get_schema(node.op_type, opset, "")
    except onnx.defs.SchemaError:
        raise ModelError(
            f"operator set {opset} has no {node.op_type} ({node.name!r})", hint="no rewrite brings it over"
        ) from None
    new = onnx.defs.get_schema(node.op_type, site.graph.opset, "")
    if old.since_version == new.since_version:
        return node
    if node.op_type in _PECULIAR:
        node = _PECULIAR[node.op_type](site)
    if node.op_type in REDUCTIONS:
        node = _axes_as_attribute(Site(site.graph, site.view, node))
    return _without_news(node, old, new, opset)


def _without_news(node: onnx.NodeProto, old: Any, new: Any, opset: int) -> onnx.NodeProto:
    """Leave out attributes that the old schema lacks and that say what was always so."""
    kept = {}
    for item in node.attribute:
        value = helper.get_attribute_value(item)
        plain = value.decode() if isinstance(value, bytes) else value
        if item.name in old.attributes:
            kept[item.name] = value
        elif plain != HARMLESS.get((node.op_type, item.name), _default(new, item.name)):
            raise ModelError(f"operator set {opset} has no {item.name}={plain!r} of {node.op_type} ({node.name!r})")
    return _copy(node, list(node.input), kept)


def _default(schema: Any, name: str) -> Any:
    found = schema.attributes.get(name)
    value = None if found is None or not found.default_value.name else helper.get_attribute_value(found.default_value)
    return value.decode() if isinstance(value, bytes) else value


def _copy(node: onnx.NodeProto, inputs: list[str], attributes: dict[str, Any]) -> onnx.NodeProto:
    made: onnx.NodeProto = helper.make_node(node.op_type, inputs, list(node.output), name=node.name, **attributes)
    return made


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {item.name: attribute(node, item.name, None) for item in node.attribute}


def _axes_as_attribute(site: Site) -> onnx.NodeProto:
    node, kept = site.node, _attributes(site.node)
    axes = site.integers(1, "axes")
    if axes is None:
        raise ModelError(f"the axes of {node.op_type} {node.name!r} are computed; older operator sets store them")
    if not axes and kept.pop("noop_with_empty_axes", 0):
        raise ModelError(f"{node.op_type} {node.name!r} reduces nothing; older operator sets would reduce everything")
    kept.pop("noop_with_empty_axes", None)
    return _copy(node, [node.input[0]], {**kept, **({"axes": axes} if axes else {})})


def _refuse_value(site: Site, name: str, value: str) -> None:
    """Raises ModelError for a value that the older schema has no word for; checkers do not look at it."""
    if site.attribute(name, "") == value:
        raise ModelError(f"older operator sets have no {name}={value!r} of {site.node.op_type} ({site.node.name!r})")


def _pad(site: Site) -> onnx.NodeProto:
    """Pads of some axes become pads of all."""
    node = site.node
    _refuse_value(site, "mode", "wrap")
    axes, pads, rank = site.stored(3), site.stored(1), site.rank(node.input[0])
    if site.given(3) is None:
        return node
    if axes is None or pads is None or rank is None:
        raise ModelError(f"the axes of Pad {node.name!r} are computed; older operator sets pad all axes")
    whole = np.zeros(2 * rank, np.int64)
    for i, axis in enumerate(axes):
        whole[int(axis) % rank], whole[rank + int(axis) % rank] = pads[i], pads[len(axes) + i]
    return _copy(
        node, [node.input[0], site.constant("pads", whole, "int64"), *list(node.input)[2:3]], _attributes(node)
    )


def _split(site: Site) -> onnx.NodeProto:
    """A number of parts becomes their lengths."""
    node, kept = site.node, _attributes(site.node)
    if kept.pop("num_outputs", None) is None:
        return node
    rank = site.rank(node.input[0])
    shapes = [site.shape(name) for name in node.output]
    if rank is None or any(shape is None for shape in shapes):
        raise ModelError(f"the parts of Split {node.name!r} depend on the data; older operator sets store them")
    lengths = [shape[kept.get("axis", 0) % rank] for shape in shapes if shape is not None]
    return _copy(node, [node.input[0], site.constant("lengths", lengths, "int64")], kept)


def _resize(site: Site) -> onnx.NodeProto:
    """Sizes or scales of some axes become those of all."""
    _refuse_value(site, "coordinate_transformation_mode", "half_pixel_symmetric")
    node, kept = site.node, _attributes(site.node)
    axes, shape = kept.pop("axes", None), site.shape(node.input[0])
    inputs = list(node.input)
    if axes is not None:
        index = 3 if site.given(3) is not None else 2
        value = site.stored(index)
        if shape is None or value is None:
            raise ModelError(f"the sizes of Resize {node.name!r} are computed; older operator sets resize all axes")
        whole = np.array(shape, np.int64) if index == 3 else np.ones(len(shape), np.float32)
        whole[[axis % len(shape) for axis in axes]] = value
        inputs[index] = site.constant("sizes", whole, str(whole.dtype))
    return _copy(node, inputs, kept)


def _pool(site: Site) -> onnx.NodeProto:
    """Dilations of 1 are left out where older pools had none."""
    kept = _attributes(site.node)
    if site.node.op_type == "AveragePool" and set(kept.get("dilations", [1])) == {1}:
        kept.pop("dilations", None)
    return _copy(site.node, list(site.node.input), kept)


_PECULIAR: dict[str, Callable[[Site], onnx.NodeProto]] = {
    "AveragePool": _pool,
    "Pad": _pad,
    "Resize": _resize,
    "Split": _split,
}
