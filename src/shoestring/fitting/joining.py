"""A detector's outputs joined into one flat vector, so that it answers like any other model: (batch, length)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import onnx
from onnx import helper

from shoestring.base import disk
from shoestring.base.canonical import digest, sha256_hex
from shoestring.base.errors import ModelError
from shoestring.compress.graph import Graph, make_node
from shoestring.domain.model import Model, TensorSpec
from shoestring.heads.check import flat_length
from shoestring.heads.spec import HeadSpec, head_of

if TYPE_CHECKING:
    from pathlib import Path

    from shoestring.base.cache import Cache
    from shoestring.domain.head import Head

FLAT = "detections"
"""Name of the joined output; underscores are added where the model has a tensor of that name."""
YOLO_KEY = "shoestring.yolo"
"""Metadata that the Darknet importer leaves (see `importers.darknet.heads`)."""
FORM = 1


def spec_inside(path: Path) -> HeadSpec | None:
    """The head that an imported model's own metadata describe; None where there are none.

    Args:
        path: of a normalised model.

    Raises:
        ModelError: a head that is not decoded so far.
    """
    found = {item.key: item.value for item in Graph.load(path).proto.metadata_props}
    if YOLO_KEY not in found:
        return None
    try:
        return _spec_of(json.loads(found[YOLO_KEY]))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelError(f"the model's metadata {YOLO_KEY!r} are damaged: {error}", hint="give --head FILE") from error


def _spec_of(content: dict[str, Any]) -> HeadSpec:
    heads = content["heads"]
    hint = "give --head FILE, if one of the kinds that are decoded fits"
    if content["form"] != FORM:
        raise ModelError(f"the model's metadata {YOLO_KEY!r} have the form {content['form']}, not {FORM}", hint=hint)
    for one in heads:
        if one["kind"] != "yolo" or one["new_coords"] != 0 or one["scale_x_y"] != 1.0:
            what = one["kind"] if one["kind"] != "yolo" else "yolo with scale_x_y or new_coords"
            raise ModelError(f"heads of the kind {what} are not decoded so far", hint=hint)
    return HeadSpec(
        kind="yolo-anchors",
        classes=int(heads[0]["classes"]),
        outputs=tuple(str(one["output"]) for one in heads),
        anchors=tuple(tuple((float(pair[0]), float(pair[1])) for pair in one["anchors"]) for one in heads),
    )


def join_outputs(model: Model, spec: HeadSpec, cache: Cache) -> tuple[Model, Head]:
    """The model with its outputs flattened and put one behind the other, and its head.

    Args:
        model: normalised.
        spec: what is known of its head.
        cache: where the joined file is kept.

    Raises:
        ModelError: an output of unknown size, or not of float32.
        DataError: the head does not fit the outputs.
    """
    shapes = {}
    for output in model.outputs:
        if len(output.shape) < 2 or None in output.shape[1:] or output.dtype != "float32":
            raise ModelError(
                f"output {output.name!r} is {output.dtype} of shape {output.shape}, expected float32 of a known size",
                hint="export with a fixed image size, and without non-maximum suppression inside",
            )
        shapes[output.name] = tuple(size for size in output.shape[1:] if size is not None)
    head = head_of(spec, shapes)
    graph = Graph.load(model.path)
    batch = model.inputs[0].shape[0]
    flat = _join(graph, [part.name for part in head.parts], batch, flat_length(head))
    data = graph.to_bytes()
    question = {"joined": model.sha256, "head": digest(head), "file": sha256_hex(data)}
    path = cache.file("models", question, ".onnx", lambda target: disk.write_bytes(target, data))
    names = " and ".join(part.name for part in head.parts)
    return (
        replace(
            model,
            path=path,
            sha256=sha256_hex(data),
            outputs=(flat,),
            notes=(
                *model.notes,
                f"detection head {head.kind}, {head.classes} classes: {names} joined into {flat.name}",
            ),
        ),
        head,
    )


def _join(graph: Graph, names: list[str], batch: int | None, length: int) -> TensorSpec:
    """Append the nodes to `graph`; what its one output is then."""
    taken = set(graph.producers) | set(graph.weights) | set(graph.inputs)
    flat = FLAT
    while any(name == flat or name.startswith(f"{flat}/") for name in taken):
        flat += "_"
    rows = [flat] if len(names) == 1 else [f"{flat}/{number}" for number in range(len(names))]
    for name, row in zip(names, rows, strict=True):
        graph.nodes.append(make_node("Flatten", [name], [row], f"{row}/flatten", axis=1))
    if len(names) > 1:
        graph.nodes.append(make_node("Concat", rows, [flat], f"{flat}/concat", axis=1))
    outputs = graph.proto.graph.output
    del outputs[:]
    outputs.append(helper.make_tensor_value_info(flat, onnx.TensorProto.FLOAT, [batch or _batch_word(graph), length]))
    graph.reindex()
    return TensorSpec(flat, "float32", (batch, length))


def _batch_word(graph: Graph) -> str:
    """The name of the free first dimension of the input."""
    return str(graph.proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param) or "batch"


__all__ = ["FLAT", "join_outputs", "spec_inside"]
