"""Small .tflite files written from the published schema, operator by operator, for tests.

The writer is the generated code of the schema itself, and LiteRT runs what it writes: that is the reference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from shoestring.importers.onnx_child import normalise
from shoestring.importers.tflite.child import translate

Array = npt.NDArray[Any]

KINDS = {
    np.dtype(np.float32): "FLOAT32",
    np.dtype(np.float16): "FLOAT16",
    np.dtype(np.int32): "INT32",
    np.dtype(np.int64): "INT64",
    np.dtype(np.int8): "INT8",
    np.dtype(np.uint8): "UINT8",
    np.dtype(np.int16): "INT16",
    np.dtype(np.bool_): "BOOL",
}
VERSIONS = {schema.BuiltinOperator.BROADCAST_TO: 2}
SAME, VALID = 0, 1
RELU, RELU_N1_TO_1, RELU6, TANH = 1, 2, 3, 4


class TfliteNet:
    """A file in the making. Tensors are numbers; `add` gives the number of the operator's first result."""

    def __init__(self, seed: int = 0) -> None:
        self.chance = np.random.default_rng(seed)
        self.tensors: list[Any] = []
        self.buffers = [schema.BufferT()]
        self.operators: list[Any] = []
        self.codes: list[tuple[int, bytes | None]] = []
        self.inputs: list[int] = []
        self.outputs: list[int] = []

    def tensor(
        self,
        shape: tuple[int, ...],
        kind: str = "FLOAT32",
        *,
        data: Array | None = None,
        scale: float | Array | None = None,
        zero: int | Array = 0,
        axis: int = 0,
        signature: tuple[int, ...] | None = None,
    ) -> int:
        made = schema.TensorT()
        made.name, made.shape = f"t{len(self.tensors)}".encode(), np.asarray(shape, np.int32)
        made.type = getattr(schema.TensorType, kind)
        made.buffer = 0
        if signature is not None:
            made.shapeSignature = np.asarray(signature, np.int32)
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            made.buffer = len(self.buffers)
            self.buffers.append(buffer)
        if scale is not None:
            how = schema.QuantizationParametersT()
            how.scale = np.atleast_1d(np.asarray(scale, np.float32))
            how.zeroPoint = np.broadcast_to(np.asarray(zero, np.int64), how.scale.shape).copy()
            how.quantizedDimension = axis
            made.quantization = how
        self.tensors.append(made)
        return len(self.tensors) - 1

    def input(self, *shape: int, kind: str = "FLOAT32", **how: Any) -> int:
        number = self.tensor(shape, kind, **how)
        self.inputs.append(number)
        return number

    def const(self, array: Any, dtype: Any = None, **how: Any) -> int:
        found = np.asarray(array, dtype)
        return self.tensor(found.shape, KINDS[found.dtype], data=found, **how)

    def ints(self, *values: int) -> int:
        return self.const(np.asarray(values, np.int32))

    def weight(self, *shape: int, size: float = 1.0) -> int:
        return self.const(self.chance.normal(0, size, shape).astype(np.float32))

    def add(
        self,
        kind: str,
        inputs: list[int],
        *shapes: tuple[int, ...],
        to: str | dict[str, Any] = "FLOAT32",
        options: str = "",
        custom: bytes | None = None,
        **fields: Any,
    ) -> int:
        """An operator with one result a shape; `to` is their type, or what `tensor` takes."""
        how = {"kind": to} if isinstance(to, str) else to
        results = [self.tensor(shape, **how) for shape in shapes]
        made = schema.OperatorT()
        code = (getattr(schema.BuiltinOperator, kind), custom)
        if code not in self.codes:
            self.codes.append(code)
        made.opcodeIndex = self.codes.index(code)
        made.inputs, made.outputs = np.asarray(inputs, np.int32), np.asarray(results, np.int32)
        if options:
            table = getattr(schema, f"{options}T")()
            for name, value in fields.items():
                if not hasattr(table, name):
                    raise AttributeError(f"{options} has no {name}")
                setattr(table, name, value)
            made.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            made.builtinOptions = table
        self.operators.append(made)
        return results[0]

    def data(self, *outputs: int) -> bytes:
        """The whole file; without `outputs` the last operator's results are the outputs."""
        model, graph = schema.ModelT(), schema.SubGraphT()
        model.version = 3
        model.buffers, model.subgraphs = self.buffers, [graph]
        model.operatorCodes = []
        for number, custom in self.codes:
            code = schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
            code.customCode = custom
            code.version = VERSIONS.get(number, 1)
            model.operatorCodes.append(code)
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs = np.asarray(self.inputs, np.int32)
        found = outputs or tuple(self.operators[-1].outputs)
        graph.outputs = np.asarray(found, np.int32)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def run_litert(data: bytes, feeds: list[Array]) -> list[Array]:
    """What LiteRT's own kernels answer, without a delegate in between."""
    from ai_edge_litert.interpreter import OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=data, num_threads=1, experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    for detail, feed in zip(interpreter.get_input_details(), feeds, strict=True):
        interpreter.set_tensor(detail["index"], feed)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]).copy() for detail in interpreter.get_output_details()]


def input_details(data: bytes) -> list[dict[str, Any]]:
    return list(Interpreter(model_content=data).get_input_details())


def output_details(data: bytes) -> list[dict[str, Any]]:
    return list(Interpreter(model_content=data).get_output_details())


def session_of(data: bytes, folder: Path) -> Any:
    """The normalised import, in this process."""
    (folder / "in.tflite").write_bytes(data)
    translate({"source": str(folder / "in.tflite"), "target": str(folder / "made.onnx"), "shapes": {}})
    normalise(
        {"source": str(folder / "made.onnx"), "target": str(folder / "out.onnx"), "batch_free": True, "shapes": {}}
    )
    onnx.checker.check_model(onnx.load(folder / "out.onnx"), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(folder / "out.onnx"), options, providers=["CPUExecutionProvider"])
