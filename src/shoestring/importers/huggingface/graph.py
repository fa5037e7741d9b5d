"""Collects the nodes and constants of an ONNX graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.importers.require import helper, numpy_helper

OPSET, IR_VERSION = 17, 8  # LayerNormalization came with opset 17


class Builder:
    """Every constant is named after what it is, every node after its output."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: dict[str, npt.NDArray[Any]] = {}

    def constant(self, name: str, value: object, dtype: type = np.float32) -> str:
        """A constant; the same name always holds the same value."""
        self._constants[name] = np.asarray(value, dtype)
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        """A node with one output, whose name is returned."""
        self._nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def model(self, name: str, inputs: list[Any], outputs: list[Any]) -> Any:
        """The ModelProto."""
        weights = [numpy_helper.from_array(value, key) for key, value in self._constants.items()]
        graph = helper.make_graph(self._nodes, name, inputs, outputs, weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
