"""Raising old models to an opset that everything after us knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.base.errors import ModelError
from shoestring.importers.infer import first_line
from shoestring.importers.require import onnx

if TYPE_CHECKING:
    from shoestring.importers.draft import Draft

TARGET_OPSET = 17  # the lowest with LayerNormalization as one operator; every runtime we drive reads it


def raise_opset(draft: Draft) -> None:
    """Convert the default domain to TARGET_OPSET unless it is there or beyond.

    Raises:
        ModelError: onnx's converter knows no way.
    """
    before = draft.opset
    if before >= TARGET_OPSET:
        return
    try:
        converted = onnx.version_converter.convert_version(draft.skeleton(), TARGET_OPSET)
    except (onnx.version_converter.ConvertError, RuntimeError) as error:
        raise ModelError(
            f"the model cannot be raised from opset {before} to {TARGET_OPSET}: {first_line(error)}",
            hint=f"export it with opset {TARGET_OPSET} or higher",
        ) from error
    draft.nodes = list(converted.graph.node)
    draft.weights.update({tensor.name: tensor for tensor in converted.graph.initializer})
    draft.opsets[""] = TARGET_OPSET
    draft.notes.append(f"opset raised from {before} to {TARGET_OPSET}")
