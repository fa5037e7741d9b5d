"""A TFLite file under construction: tensors, operators and metadata of one subgraph, written with the published schema.

Schema: google-ai-edge/LiteRT, tflite/converter/schema/schema.fbs, version 3 (file identifier TFL3), through the classes
that the package ai-edge-litert brings for it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from shoestring.base.errors import MissingExtraError
from shoestring.native.form import Array

ALIGNMENT = 16
"""Of constants in the file, as the schema demands."""

NO_TENSOR = -1
_DTYPES = {
    "float32": "FLOAT32",
    "float16": "FLOAT16",
    "int8": "INT8",
    "uint8": "UINT8",
    "int32": "INT32",
    "int64": "INT64",
}


@dataclass(frozen=True, eq=False)
class Scales:
    """Of a tensor of integers: real = scale * (integer - zero).

    Args:
        scale: float32, one or one for each channel.
        zero: integers, as many.
        axis: of the channels.
    """

    scale: Array
    zero: Array
    axis: int = 0


class Flat:
    """One model with one subgraph."""

    def __init__(self) -> None:
        self.schema, self._builder = schema(), _flatbuffers().Builder
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: dict[tuple[str, int], int] = {}
        self._buffers: list[Any] = [self.schema.BufferT()]  # number 0 stands for "no data"
        self._known: dict[tuple[str, tuple[int, ...], bytes], int] = {}
        self._names: dict[str, int] = {}
        self._metadata: list[Any] = []

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str,
        scales: Scales | None = None,
        data: Array | None = None,
        *,
        free: Sequence[int] = (),
    ) -> int:
        """Add a tensor; one whose name is taken gets a number behind it.

        Args:
            name: of the tensor.
            shape: as it lies in memory.
            dtype: numpy's name.
            scales: of integers.
            data: of a constant.
            free: axes whose length the user of the file may change.

        Returns:
            Its number.
        """
        made = self.schema.TensorT()
        made.name, made.shape = self._unique(name), [int(side) for side in shape]
        made.type = getattr(self.schema.TensorType, _DTYPES[dtype])
        made.hasRank = True
        if free:
            made.shapeSignature = [-1 if axis in free else int(side) for axis, side in enumerate(shape)]
        if scales is not None:
            made.quantization = self.schema.QuantizationParametersT()
            made.quantization.scale = np.ascontiguousarray(scales.scale, np.float32).reshape(-1)
            made.quantization.zeroPoint = np.ascontiguousarray(scales.zero, np.int64).reshape(-1)
            made.quantization.quantizedDimension = scales.axis
        if data is not None:
            made.buffer = self._buffer(np.ascontiguousarray(data, dtype).reshape(-1).view(np.uint8))
        self._tensors.append(made)
        return len(self._tensors) - 1

    def plain(self, value: Any, dtype: str, name: str = "constant") -> int:
        """A constant without scales; the same one again is the same tensor."""
        array = np.ascontiguousarray(value, dtype)
        key = (dtype, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = self.tensor(name, array.shape, dtype, data=array)
        return self._known[key]

    def operator(
        self,
        code: str,
        inputs: Sequence[int],
        output: int,
        *,
        options: str = "",
        int8: bool = False,
        version: int | None = None,
        **fields: Any,
    ) -> int:
        """Append an operator.

        Args:
            code: name in the schema, like CONV_2D.
            inputs: tensor numbers, NO_TENSOR where one is left out.
            output: tensor number.
            options: name of its options table without "Options", empty for none.
            int8: it works on integers.
            version: where it is not the one of versions.toml.
            fields: of the options.

        Returns:
            `output`.
        """
        if version is None:
            version = versions()["int8" if int8 else "float"][code]
        made = self.schema.OperatorT()
        made.opcodeIndex = self._codes.setdefault((code, version), len(self._codes))
        made.inputs, made.outputs = list(inputs), [output]
        if options:
            made.builtinOptionsType = getattr(self.schema.BuiltinOptions, f"{options}Options")
            made.builtinOptions = getattr(self.schema, f"{options}OptionsT")()
            for name, value in fields.items():
                setattr(made.builtinOptions, name, value)
        self._operators.append(made)
        return output

    def metadata(self, name: str, data: bytes) -> None:
        """Add an entry that runtimes leave alone."""
        made = self.schema.MetadataT()
        made.name, made.buffer = name, self._buffer(np.frombuffer(data, np.uint8))
        self._metadata.append(made)

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Of a tensor, as it lies in memory."""
        return tuple(self._tensors[tensor].shape)

    def finish(self, inputs: Sequence[int], outputs: Sequence[int], description: str) -> bytes:
        """The whole file; the same calls give the same bytes."""
        graph, model = self.schema.SubGraphT(), self.schema.ModelT()
        graph.name, graph.tensors, graph.operators = "main", self._tensors, self._operators
        graph.inputs, graph.outputs = list(inputs), list(outputs)
        model.version, model.description = 3, description
        model.subgraphs, model.buffers, model.metadata = [graph], self._buffers, self._metadata
        model.operatorCodes = [self._code(name, version) for name, version in self._codes]
        builder = self._builder(1 << 16)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _code(self, name: str, version: int) -> Any:
        made = self.schema.OperatorCodeT()
        made.builtinCode, made.version = getattr(self.schema.BuiltinOperator, name), version
        # Runtimes from before the field was widened read the old one; 127 there says "look at the new one".
        made.deprecatedBuiltinCode = min(made.builtinCode, self.schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
        return made

    def _buffer(self, data: Array) -> int:
        made = _aligned_buffer()()
        made.data = data
        self._buffers.append(made)
        return len(self._buffers) - 1

    def _unique(self, name: str) -> str:
        count = self._names[name] = self._names.get(name, 0) + 1
        return name if count == 1 else self._unique(f"{name}/{count}")


@cache
def versions() -> dict[str, dict[str, int]]:
    """Operator versions for "float" and "int8"."""
    return tomllib.loads(resources.files(__package__).joinpath("versions.toml").read_text())


@cache
def _aligned_buffer() -> Any:
    """The schema's class of buffers, with the alignment that the schema demands and the Python generator forgets."""

    class AlignedBuffer(schema().BufferT):  # type: ignore[misc]
        def Pack(self, builder: Any) -> Any:  # noqa: N802
            builder.Prep(ALIGNMENT, len(self.data))
            return super().Pack(builder)

    return AlignedBuffer


def schema() -> Any:
    """The classes of the schema. Raises MissingExtraError."""
    _flatbuffers()
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as error:
        raise MissingExtraError("ai-edge-litert", "litert") from error
    return schema_py_generated


def _flatbuffers() -> Any:
    try:
        import flatbuffers
    except ImportError as error:
        raise MissingExtraError("flatbuffers", "litert") from error
    return flatbuffers


__all__ = ["NO_TENSOR", "Flat", "Scales"]
