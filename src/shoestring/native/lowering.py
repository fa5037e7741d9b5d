"""What the scheduler must know of an operator: whether it works row by row, and which rows of its input a row needs."""

from __future__ import annotations

from dataclasses import dataclass

from shoestring.native.form import (
    Binary,
    Conv,
    Dequantize,
    Op,
    Pads,
    Pool,
    Program,
    Quantize,
    Table,
    Unary,
)


@dataclass(frozen=True)
class Rows:
    """Output rows [a, b) need input rows [a * stride - top, (b - 1) * stride - top + extent), cut to the image or not.

    Args:
        padded: rows outside the image are read, as zero.
    """

    extent: int = 1
    stride: int = 1
    top: int = 0
    padded: bool = False


def rows_of(op: Op, program: Program) -> Rows | None:
    """How an operator that works row by row reads its first input; None for all others."""
    shape = program.values[op.output].shape
    if len(shape) != 4 or shape[0] != 1:
        return None
    if isinstance(op, Conv):
        extent = (op.weight.shape[2] - 1) * op.dilations[0] + 1
        return Rows(extent, op.strides[0], op.pads[0], True)
    if isinstance(op, Pool):
        return Rows(op.kernel[0], op.strides[0], op.pads[0])
    if isinstance(op, Quantize | Dequantize | Table | Unary):
        return Rows()
    if isinstance(op, Binary) and same_shape(op, program):
        return Rows()
    return None


def same_shape(op: Binary, program: Program) -> bool:
    """Whether the inputs have the output's shape, so that their elements lie side by side."""
    shape = program.values[op.output].shape
    return op.constant is None and all(program.values[name].shape == shape for name in op.inputs)


def border_needed(op: Op, program: Program) -> Pads:
    """The border that an operator wants around its input: as far as its windows reach beyond the image."""
    if not isinstance(op, Conv):
        return (0, 0, 0, 0)
    height, width = program.values[op.inputs[0]].shape[2:]
    out = program.values[op.output].shape
    out_height, out_width = out[2:] if len(out) == 4 else (1, 1)
    reach_y = (out_height - 1) * op.strides[0] - op.pads[0] + (op.weight.shape[2] - 1) * op.dilations[0] + 1
    reach_x = (out_width - 1) * op.strides[1] - op.pads[1] + (op.weight.shape[3] - 1) * op.dilations[1] + 1
    return (op.pads[0], op.pads[1], max(0, reach_y - height), max(0, reach_x - width))
