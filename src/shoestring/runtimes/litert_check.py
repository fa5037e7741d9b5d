"""What LiteRT takes for granted in a file that its own verifier lets pass, and dies of where it does not hold.

Its verifier checks offsets, sizes and tensor numbers. An integer operator whose tensor has no scale, a zero point
outside its type, or an operator with fewer inputs than it reads ends the process inside XNNPACK instead of in an error.
Found by flipping bits of converted networks; what lies beyond is met by running the session in a process of its own.
"""

from __future__ import annotations

import math
import struct
import tomllib
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from shoestring.base.errors import EngineError

LIMITS = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767)}
"""Integers that quantized tensors hold."""

CALCULATE = frozenset(
    {
        *("ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "DIV", "LEAKY_RELU", "LOGISTIC", "MAXIMUM", "MEAN"),
        *("MAX_POOL_2D", "MINIMUM", "MUL", "PRELU", "RESIZE_BILINEAR", "SOFTMAX", "SUB", "TANH", "TRANSPOSE_CONV"),
    }
)
"""Operators whose tensors of 8 bits have scales, and whose first input and output are of one type."""

FILTERED = frozenset(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"))
LEAST_MULTIPLIER, MOST_MULTIPLIER = 2.0**-32, 256.0
"""Of the scales of input and weight by that of the output. Source: google/XNNPACK, src/operators/convolution-nhwc.c."""

LEAST_SCALE, MOST_SCALE = 1e-10, 1e6
"""Quantizers write 1e-8 for a tensor of zeros; far below or above, XNNPACK stops the process over the ratio of two."""

MOST_ELEMENTS = 1 << 28
"""Of one tensor, 1 GiB of floats: a flipped bit in a shape must not keep a board busy for an hour."""

UNREADABLE = (struct.error, AttributeError, IndexError, OverflowError, TypeError, UnicodeDecodeError, ValueError)
"""What the schema's classes raise on offsets that lead nowhere."""


def check_tensors(model: Any, schema: Any) -> None:
    """Raises EngineError for a tensor whose size or scales cannot be meant.

    Args:
        model: the root of a file, as the schema's classes read it lazily.
        schema: those classes.
    """
    limits = {getattr(schema.TensorType, name): (name, *ends) for name, ends in LIMITS.items()}
    for number in range(model.SubgraphsLength()):
        graph = model.Subgraphs(number)
        for place in range(graph.TensorsLength()):
            tensor = graph.Tensors(place)
            count = math.prod(max(1, tensor.Shape(axis)) for axis in range(tensor.ShapeLength()))
            if count > MOST_ELEMENTS:
                raise EngineError(f"its tensor {place} has {count} elements; the limit is {MOST_ELEMENTS}")
            if tensor.Type() in limits:
                reason = _reason(tensor, *limits[tensor.Type()])
                if reason:
                    raise EngineError(f"its tensor {place} {reason}", hint="convert or download the model again")


def check_operators(model: Any, schema: Any) -> None:
    """Raises EngineError for an operator that its kernel would misread.

    Args:
        model, schema: as `check_tensors` takes them.
    """
    known = {getattr(schema.BuiltinOperator, name): name for name in _inputs()}
    for number in range(model.SubgraphsLength()):
        graph = model.Subgraphs(number)
        held = {graph.Inputs(i) for i in range(graph.InputsLength())}
        for place in range(graph.OperatorsLength()):
            made = graph.Operators(place)
            if not 0 <= made.OpcodeIndex() < model.OperatorCodesLength():
                raise EngineError(f"its operator {place} is of kind {made.OpcodeIndex()}, which it does not list")
            code = model.OperatorCodes(made.OpcodeIndex())
            name = known.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "")
            reason = _misread(graph, made, name, held, schema)
            if reason:
                raise EngineError(f"its operator {place}{f', {name},' if name else ''} {reason}")


def _misread(graph: Any, made: Any, name: str, held: set[int], schema: Any) -> str:
    """What is wrong with an operator, empty for nothing; the tensors it makes are added to those that are held."""
    results = {made.Outputs(i) for i in range(made.OutputsLength())} - {-1}
    if held & results:
        return f"makes tensor {min(held & results)}, which is an input or was made before"
    held |= results
    least, most = _inputs().get(name, (0, 1 << 31))
    count = made.InputsLength()
    if not least <= count <= most:
        return f"has {count} inputs; it takes {least}" + (f" to {most}" if most != least else "")
    if not count or not results or name not in CALCULATE | FILTERED:
        return ""
    numbers = [made.Inputs(i) for i in range(count)] + sorted(results)
    if not all(-1 <= tensor < graph.TensorsLength() for tensor in numbers) or -1 in (numbers[0], numbers[-1]):
        return "reads or makes a tensor that does not exist"
    source, result = graph.Tensors(numbers[0]), graph.Tensors(numbers[count])
    if name in CALCULATE:
        if source.Type() != result.Type():
            return f"reads type {source.Type()} and makes type {result.Type()}"
        if source.Type() in (schema.TensorType.INT8, schema.TensorType.UINT8):
            for tensor in (source, result):
                if tensor.Quantization() is None or tensor.Quantization().ScaleLength() == 0:
                    return "calculates with 8-bit integers without a scale"
    whole = source.Type() == result.Type() == schema.TensorType.INT8
    return _multipliers(source, graph.Tensors(numbers[1]), result) if name in FILTERED and whole else ""


def _multipliers(source: Any, weight: Any, result: Any) -> str:
    """What is wrong with the scales of an integer layer, empty for nothing."""
    found = [tensor.Quantization() for tensor in (source, weight, result)]
    if any(one is None or one.ScaleLength() == 0 for one in found):
        return "calculates with 8-bit integers without a scale"
    taken, weights, given = (np.atleast_1d(one.ScaleAsNumpy()).astype(np.float64) for one in found)
    multipliers = taken[0] * weights / given[0]
    good = (multipliers >= LEAST_MULTIPLIER) & (multipliers < MOST_MULTIPLIER)
    return (
        "" if good.all() else f"has the multiplier {multipliers[~good][0]:.4g}; XNNPACK takes up to {MOST_MULTIPLIER:g}"
    )


@cache
def _inputs() -> dict[str, tuple[int, int]]:
    """Least and most inputs by operator."""
    text = resources.files(__package__).joinpath("litert_operators.toml").read_text()
    return {name: (least, most) for name, (least, most) in tomllib.loads(text)["inputs"].items()}


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
