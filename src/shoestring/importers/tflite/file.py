"""A .tflite file as plain nouns: everything that the FlatBuffer claims is held to the bytes that are there.

Layout: tensorflow/compiler/mlir/lite/schema/schema.fbs of github.com/tensorflow/tensorflow. The reader of FlatBuffers
is Python throughout: a false offset gives one of the errors in `_BROKEN`, not a crash.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import ModelError
from shoestring.base.limits import MAX_GRAPH_NODES
from shoestring.importers.tflite.schema import OPERATORS, OPTIONS, schema
from shoestring.importers.tflite.tensors import Tensor, read_tensor

_BROKEN = (struct.error, ValueError, IndexError, TypeError, OverflowError, AttributeError, KeyError)
_MAX_IO = 4_096
_NOT_OPTIONS = ("Length", "IsNone")
_LIST = "AsNumpy"


@dataclass(frozen=True)
class Operator:
    """One operator of the graph.

    Args:
        index: in the order of execution.
        kind: its name in the schema, or CUSTOM.
        custom: the name of a custom operator.
        inputs: tensor numbers; -1 where an optional one is missing.
        outputs: tensor numbers.
        options: its scalar options, by their name in the schema.
        lists: its options that are lists of whole numbers.
    """

    index: int
    kind: str
    custom: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, int | float | bool]
    lists: dict[str, tuple[int, ...]]

    @property
    def name(self) -> str:
        """For messages and for the node in ONNX."""
        return f"{(self.custom or self.kind).lower()}_{self.index}"

    def integer(self, key: str, default: int = 0) -> int:
        return int(self.options.get(key, default))

    def wrong(self, message: str, *, hint: str | None = None) -> ModelError:
        way_out = hint or "convert the model again, or export it to ONNX at its source"
        return ModelError(f"operator {self.index}, {self.custom or self.kind}: {message}", hint=way_out)


@dataclass(frozen=True)
class File:
    """The one graph of a file.

    Args:
        tensors: by number.
        inputs, outputs: tensor numbers.
    """

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_file(data: bytes) -> File:
    """Take a file apart.

    Raises:
        ModelError: damaged, or not a graph that stands for itself.
    """
    try:
        return _read(data)
    except _BROKEN as error:
        raise ModelError(
            f"the TensorFlow Lite file of {len(data)} bytes is truncated or damaged ({type(error).__name__})",
            hint="export or download it again",
        ) from error


def _read(data: bytes) -> File:
    model = schema.Model.GetRootAs(data)
    if model.SubgraphsLength() < 1:
        raise ModelError("the file holds no graph", hint="export or download it again")
    codes = [_code(model.OperatorCodes(i)) for i in range(_count(model.OperatorCodesLength(), "operator codes"))]
    graph = model.Subgraphs(0)
    tensors = tuple(
        read_tensor(model, graph.Tensors(i), i, data) for i in range(_count(graph.TensorsLength(), "tensors"))
    )
    count = _count(graph.OperatorsLength(), "operators")
    operators = tuple(_operator(graph.Operators(i), i, codes, len(tensors)) for i in range(count))
    inputs = _numbers(graph.InputsAsNumpy(), len(tensors), "inputs")
    outputs = _numbers(graph.OutputsAsNumpy(), len(tensors), "outputs")
    for what, numbers in (("inputs", inputs), ("outputs", outputs)):
        if not numbers or min(numbers) < 0 or len(set(numbers)) != len(numbers):
            raise ModelError(f"the graph has no {what}, or states one twice", hint="export or download it again")
    if not operators:
        raise ModelError("the graph has no operators", hint="export or download it again")
    return File(tensors, operators, inputs, outputs)


def _count(count: int, what: str) -> int:
    limit = MAX_GRAPH_NODES * 4  # weights and activations count as tensors
    if not 0 <= count <= limit:
        raise ModelError(f"the file states {count} {what}, more than the limit of {limit}", hint="it is damaged")
    return count


def _code(code: Any) -> tuple[str, str]:
    """Kind and custom name. Files from before 2020 have the small field alone, later ones both."""
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    kind = OPERATORS.get(number)
    if kind is None:
        raise ModelError(
            f"the file uses the operator number {number}, which is not known", hint="update ai-edge-litert"
        )
    custom = code.CustomCode() if kind == "CUSTOM" else None
    return kind, "" if custom is None else custom.decode("utf-8", "replace")[:80]


def _operator(found: Any, index: int, codes: list[tuple[str, str]], tensors: int) -> Operator:
    kind, custom = codes[found.OpcodeIndex()]
    inputs = _numbers(found.InputsAsNumpy(), tensors, f"inputs of operator {index}")
    outputs = _numbers(found.OutputsAsNumpy(), tensors, f"outputs of operator {index}")
    if any(number < 0 for number in outputs):
        raise ModelError(f"operator {index} gives a tensor outside the graph", hint="the file is damaged")
    options, lists = _options(found)
    return Operator(index, kind, custom, inputs, outputs, options, lists)


def _numbers(found: npt.NDArray[np.int32] | int, tensors: int, what: str) -> tuple[int, ...]:
    """Tensor numbers; the generated code gives 0 for a vector that is not there."""
    if isinstance(found, int):
        return ()
    numbers = tuple(int(number) for number in found[: _MAX_IO + 1])
    if len(numbers) > _MAX_IO or any(not -1 <= number < tensors for number in numbers):
        raise ModelError(f"the {what} are {len(found)} numbers, some outside 0..{tensors - 1}", hint="it is damaged")
    return numbers


def _options(found: Any) -> tuple[dict[str, int | float | bool], dict[str, tuple[int, ...]]]:
    """All scalar fields of the operator's options table, whatever table that is, and its lists of whole numbers."""
    kind = getattr(schema, OPTIONS[found.BuiltinOptionsType()] or "", None)
    table = found.BuiltinOptions()
    if kind is None or table is None:
        return {}, {}
    options, scalars, lists = kind(), {}, {}
    options.Init(table.Bytes, table.Pos)
    for name, method in vars(kind).items():
        code = getattr(method, "__code__", None)
        if code is None or code.co_argcount != 1 or name.endswith(_NOT_OPTIONS):
            continue
        value = getattr(options, name)()
        if isinstance(value, int | float | bool) and not name.endswith(_LIST):
            scalars[name] = value
        elif isinstance(value, np.ndarray) and value.dtype.kind == "i":
            lists[name.removesuffix(_LIST)] = tuple(int(number) for number in value[:_MAX_IO])
    return scalars, lists
