"""What LiteRT takes for granted in a file that its own verifier lets pass, and dies of where it does not hold.

Its verifier checks offsets, sizes and tensor numbers. An integer operator whose tensor has no scale, a zero point
outside its type, or an operator with fewer inputs than it reads ends the process inside XNNPACK instead of in an error.
Found by flipping bits of converted networks; what lies beyond is met by running the session in a process of its own.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from shoestring.base.errors import EngineError

LIMITS = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767)}
"""Integers that quantized tensors hold."""

INPUTS = {
    "ADD": (2, 2),
    "AVERAGE_POOL_2D": (1, 1),
    "BATCH_MATMUL": (2, 2),
    "CONCATENATION": (1, None),
    "CONV_2D": (2, 3),
    "DEPTHWISE_CONV_2D": (2, 3),
    "DIV": (2, 2),
    "FULLY_CONNECTED": (2, 3),
    "LEAKY_RELU": (1, 1),
    "LOGISTIC": (1, 1),
    "MAX_POOL_2D": (1, 1),
    "MEAN": (2, 2),
    "MUL": (2, 2),
    "PAD": (2, 2),
    "PRELU": (2, 2),
    "QUANTIZE": (1, 1),
    "DEQUANTIZE": (1, 1),
    "RESHAPE": (1, 2),
    "RESIZE_BILINEAR": (2, 2),
    "RESIZE_NEAREST_NEIGHBOR": (2, 2),
    "SLICE": (3, 3),
    "SOFTMAX": (1, 1),
    "STRIDED_SLICE": (4, 4),
    "SUB": (2, 2),
    "TANH": (1, 1),
    "TRANSPOSE": (2, 2),
    "TRANSPOSE_CONV": (3, 4),
}
"""Least and most inputs of the operators that XNNPACK takes. Source: google-ai-edge/LiteRT, the Prepare functions in
tflite/kernels."""

SCALED = frozenset(INPUTS) - {"RESHAPE", "TRANSPOSE", "PAD", "SLICE", "STRIDED_SLICE", "CONCATENATION"}
"""Those among them that calculate: their tensors of 8 bits have scales."""

LEAST_SCALE, MOST_SCALE = 1e-30, 1e6
"""Products and ratios of scales between these stay inside float32, and XNNPACK's limits are met with an error."""

UNREADABLE = (struct.error, AttributeError, IndexError, OverflowError, TypeError, UnicodeDecodeError, ValueError)
"""What the schema's classes raise on offsets that lead nowhere."""


def check_tensors(model: Any, schema: Any) -> None:
    """Raises EngineError for a tensor whose scales cannot be meant.

    Args:
        model: the root of a file, as the schema's classes read it lazily.
        schema: those classes.
    """
    limits = {getattr(schema.TensorType, name): (name, *ends) for name, ends in LIMITS.items()}
    for number in range(model.SubgraphsLength()):
        graph = model.Subgraphs(number)
        for place in range(graph.TensorsLength()):
            tensor = graph.Tensors(place)
            if tensor.Type() in limits:
                reason = _reason(tensor, *limits[tensor.Type()])
                if reason:
                    raise EngineError(f"its tensor {place} {reason}", hint="convert or download the model again")


def check_operators(model: Any, schema: Any) -> None:
    """Raises EngineError for an operator with too few or too many inputs, or one of integers without scales.

    Args:
        model, schema: as `check_tensors` takes them.
    """
    known = {getattr(schema.BuiltinOperator, name): name for name in INPUTS}
    bytes_of = (schema.TensorType.INT8, schema.TensorType.UINT8)
    for number in range(model.SubgraphsLength()):
        graph = model.Subgraphs(number)
        held = {graph.Inputs(i) for i in range(graph.InputsLength())}
        for place in range(graph.OperatorsLength()):
            made = graph.Operators(place)
            results = [made.Outputs(i) for i in range(made.OutputsLength()) if made.Outputs(i) >= 0]
            if held.intersection(results):
                twice = held.intersection(results).pop()
                raise EngineError(f"its operator {place} makes tensor {twice}, which is an input or was made before")
            held.update(results)
            if not 0 <= made.OpcodeIndex() < model.OperatorCodesLength():
                raise EngineError(f"its operator {place} is of kind {made.OpcodeIndex()}, which it does not list")
            code = model.OperatorCodes(made.OpcodeIndex())
            name = known.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "")
            least, most = INPUTS.get(name, (0, None))
            if made.InputsLength() < least or (most is not None and made.InputsLength() > most):
                raise EngineError(f"its operator {place}, {name}, has {made.InputsLength()} inputs; it takes {least}")
            ends = [made.Inputs(i) for i in range(min(1, made.InputsLength()))]
            for tensor in [*ends, *results]:
                if name in SCALED and 0 <= tensor < graph.TensorsLength():
                    _need_scale(graph.Tensors(tensor), tensor, name, bytes_of)


def _need_scale(tensor: Any, number: int, name: str, bytes_of: tuple[int, ...]) -> None:
    found = tensor.Quantization()
    if tensor.Type() in bytes_of and (found is None or found.ScaleLength() == 0):
        raise EngineError(f"its tensor {number} is of 8-bit integers without a scale, and {name} calculates with it")


def _reason(tensor: Any, name: str, low: int, high: int) -> str:
    """What is wrong with a tensor of integers, empty for nothing. Without any scales it holds plain numbers."""
    found = tensor.Quantization()
    if found is None or (found.ScaleLength() == 0 and found.ZeroPointLength() == 0):
        return ""
    scales, zeros = np.atleast_1d(found.ScaleAsNumpy()), np.atleast_1d(found.ZeroPointAsNumpy())
    if found.ScaleLength() != found.ZeroPointLength() and found.ZeroPointLength() != 0:
        return f"has {found.ScaleLength()} scales and {found.ZeroPointLength()} zero points"
    if found.ScaleLength() == 0:
        return "has zero points and no scale"
    good = (scales > LEAST_SCALE) & (scales < MOST_SCALE)
    if not good.all():
        return f"has the scale {scales[~good][0]:.4g}; scales are above {LEAST_SCALE} and below {MOST_SCALE}"
    if found.ZeroPointLength() and not ((zeros >= low) & (zeros <= high)).all():
        return (
            f"of {name} has the zero point {zeros[(zeros < low) | (zeros > high)][0]}; its limits are {low} and {high}"
        )
    axis, sides = found.QuantizedDimension(), tensor.ShapeLength()
    if found.ScaleLength() > 1 and (not 0 <= axis < sides or tensor.Shape(axis) != found.ScaleLength()):
        return f"has {found.ScaleLength()} scales along axis {axis} of {sides}"
    return ""


__all__ = ["UNREADABLE", "check_operators", "check_tensors"]
