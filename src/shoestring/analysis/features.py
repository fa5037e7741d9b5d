"""What of a model decides its latency and memory on any chip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from shoestring.analysis.profiling import ask_child
from shoestring.base import canonical
from shoestring.base.errors import ModelError
from shoestring.domain.features import Features

if TYPE_CHECKING:
    from shoestring.domain.model import Model

_CHILD = "shoestring.analysis.onnx_child:features"


def features_of(model: Model) -> Features:
    """Counts of the network behind a model, for one example, as an engine that fuses would run it.

    They follow the published counts of ncnn's benchmark networks (`chips/published/networks.csv`), so that what was
    learnt from those holds for this model: see `steps` for what counts as one layer. `act_elems` adds up what each
    layer reads and what it writes, weights left out. A QDQ model has the counts of the network behind its
    QuantizeLinear and DequantizeLinear nodes. A 1x1 convolution on a map of one value is a fully connected layer.

    Known differences from those counts: a model may end before the softmax that ncnn's graphs have (one layer and
    twice its classes fewer); attention is several layers here and one there; a layer normalisation that the exporter
    spelled out in arithmetic stays spelled out.

    Args:
        model: normalised, as `importers` writes it.

    Returns:
        The features; `uncovered` names operators whose cost no count speaks for, such as those of foreign domains,
        control flow (whose bodies are counted once) and sorting.

    Raises:
        ModelError: the file is unreadable or too large, an input leaves a dimension other than the first open, or a
            shape that decides depends on the data.
        MissingExtraError: onnx is not installed.
    """
    for value in model.inputs:
        free = [axis for axis, size in enumerate(value.shape) if size is None and axis > 0]
        if free:
            example = "x".join("1" if axis == 0 else str(size or 128) for axis, size in enumerate(value.shape))
            raise ModelError(
                f"input {value.name!r} leaves dimension {' and '.join(map(str, free))} open, "
                "and the cost depends on it",
                hint=f"give its shape, for example --shape {value.name}={example}",
            )
    reply = ask_child(_CHILD, model.path, {})
    return replace(canonical.convert(reply, Features, ModelError), name=PurePath(model.source_name).stem)
