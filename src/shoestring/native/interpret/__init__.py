"""The reference interpreter: the exact arithmetic of `shoestring.native.form` in numpy, judge of every target.

Values are held as uint8 codes (i8) or float32 in their ONNX layout. It is written to be right and readable, and fast
enough for a mobile network; it expects a program that `shoestring.native.check` accepts.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from shoestring.base.errors import DataError
from shoestring.native.form import Array, Port, Program
from shoestring.native.interpret.dispatch import evaluate

__all__ = ["run", "trace"]


def run(program: Program, feeds: Mapping[str, Array], *, fused: bool = True) -> dict[str, Array]:
    """Outputs of a program.

    Args:
        program: one that passes `check`.
        feeds: by the name of the input port, in its dtype and the shape of its value.
        fused: the target has a fused multiply-add for float32.

    Returns:
        By the name of the output port, in its dtype and the shape of its value.

    Raises:
        DataError: an input is missing, unknown, or of another shape or dtype.
    """
    values = trace(program, feeds, fused=fused)
    return {port.name: _outside(values[port.value], port) for port in program.outputs}


def trace(program: Program, feeds: Mapping[str, Array], *, fused: bool = True) -> dict[str, Array]:
    """Every value of a program, by name: uint8 codes or float32. Arguments and errors are those of `run`."""
    unknown = sorted(set(feeds) - {port.name for port in program.inputs})
    if unknown:
        names = ", ".join(port.name for port in program.inputs)
        raise DataError(f"the program has no input named {unknown[0]!r}", hint=f"its inputs are: {names}")
    values = {port.value: _inside(program, port, feeds) for port in program.inputs}
    # Overflow to infinity, 0 / 0 and NaN are results here, not accidents.
    with np.errstate(all="ignore"):
        for op in program.ops:
            values[op.output] = evaluate(op, program.values, values, fused)
    return values


def _inside(program: Program, port: Port, feeds: Mapping[str, Array]) -> Array:
    """What a caller brings, as the program holds it."""
    if port.name not in feeds:
        raise DataError(f"no data for the input {port.name!r}", hint="give an array for every input")
    given, shape = np.asarray(feeds[port.name]), program.values[port.value].shape
    if given.shape != shape or given.dtype != np.dtype(port.dtype):
        raise DataError(
            f"the input {port.name!r} is {given.dtype} {given.shape}; the program takes {port.dtype} {shape}",
            hint="convert the array before running the program",
        )
    return (given.astype(np.int16) + 128).astype(np.uint8) if port.dtype == "int8" else given


def _outside(held: Array, port: Port) -> Array:
    """What the program holds, as a caller gets it."""
    return (held.astype(np.int16) - 128).astype(np.int8) if port.dtype == "int8" else held
