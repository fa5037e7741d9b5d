"""The typed internal form: what the front makes, the passes rewrite, the interpreter judges and the back turns into C.

Every tensor has a static shape in the layout of the ONNX graph (images are N, C, H, W with N = 1). There are two kinds:

* `f32`: float32.
* `i8`: 8-bit codes 0..255 with one scale and one zero point: real = scale * (code - zero). Signed tensors of the graph
  are shifted by 128 (code = value + 128, zero likewise), which changes no arithmetic; a target stores codes either as
  they are or shifted back.

Arithmetic is exact by definition, so that every target gives the same bits:

* integer convolutions sum `(code - zero) * weight` and the bias in int32, which must not overflow;
* one multiplication in float32 takes the sum to the output's scale, rounding is to the nearest even, then the zero
  point is added and the code clamped: `code = clamp(rint(float32(sum) * multiplier) + zero, low, high)`;
* float convolutions start at the bias and add products in the order (kernel row, kernel column, input channel), with
  a fused multiply-add where the target has one, else rounded twice. Products with padding are part of the sum.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Kind = Literal["i8", "f32"]
Window = tuple[int, int]
Pads = tuple[int, int, int, int]  # top, left, bottom, right


@dataclass(frozen=True)
class Value:
    """A tensor.

    Args:
        name: unique in the program.
        shape: static.
        kind: of its elements.
        scale: of `i8`, above zero; 1.0 for `f32`.
        zero: of `i8`, a code in 0..255; 0 for `f32`.
    """

    name: str
    shape: tuple[int, ...]
    kind: Kind
    scale: float = 1.0
    zero: int = 0

    @property
    def count(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class Op:
    """An operator: reads the values named in `inputs`, makes the one named `output`. `name` is the graph node's."""

    name: str
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True, eq=False)
class Clamp:
    """Bounds on an output: codes (integers) for an `i8` output, reals for `f32`; None leaves the side open.

    Floats: `x > low ? x : low`, then `x < high ? x : high`; an open side beside a bound is an infinity, so a NaN gives
    the lower bound. Without bounds a NaN stays.
    """

    low: float | None = None
    high: float | None = None


OPEN = Clamp()


@dataclass(frozen=True, eq=False)
class Quantize(Op):
    """f32 -> i8: `clamp(rint(x / scale) + zero)` with scale and zero of the output. A NaN gives code 0."""


@dataclass(frozen=True, eq=False)
class Dequantize(Op):
    """i8 -> f32: `float32(code - zero) * scale` of the input."""


@dataclass(frozen=True, eq=False)
class Conv(Op):
    """2-D convolution, (1, C, H, W) -> (1, O, H', W').

    Args:
        weight: int8 (O, C / groups, kh, kw) for an i8 input, float32 for an f32 input.
        bias: int32 (O,) or float32 (O,).
        multiplier: float32 (O,) for an i8 input: takes the int32 sum to the output: codes (before the zero point), or
            reals for an f32 output. None for an f32 input.
        clamp: on the output.
    """

    weight: Array
    bias: Array
    multiplier: Array | None
    strides: Window = (1, 1)
    pads: Pads = (0, 0, 0, 0)
    dilations: Window = (1, 1)
    groups: int = 1
    clamp: Clamp = OPEN


@dataclass(frozen=True, eq=False)
class Linear(Op):
    """(..., K) x weight -> (..., N), a convolution whose pixels are the leading axes.

    Args:
        weight: int8 or float32 (N, K); sums run over K in order.
        bias, multiplier, clamp: as in Conv.
    """

    weight: Array
    bias: Array
    multiplier: Array | None
    clamp: Clamp = OPEN


@dataclass(frozen=True, eq=False)
class MatMul(Op):
    """Two activations, (..., M, K) x (..., K, N), leading axes broadcast.

    i8: `clamp(rint(float32(sum of (a - za) * (b - zb)) * multiplier) + zero)`; f32: sums over K in order from 0.0.

    Args:
        multiplier: float32 of i8 inputs (reals for an f32 output), None for f32 ones.
    """

    multiplier: float | None = None


@dataclass(frozen=True, eq=False)
class Binary(Op):
    """Elementwise with ONNX broadcasting; both inputs of one kind, the output of the same.

    i8 add: `float32(a - za) * ra + float32(b - zb) * rb`, two products and one sum each rounded to float32;
    ra = float32(sa / sy), rb = float32(sb / sy). i8 sub: the same with a minus. i8 mul:
    `float32((a - za) * (b - zb)) * float32(float32(sa * sb) / sy)`. Then rint, zero point, clamp as everywhere.

    An input may be a constant: then `constant` holds it, in the kind of the other input (codes 0..255 as uint8 with
    `constant_scale` and `constant_zero`), and `inputs` names one value only. `swapped`: the constant comes first.
    """

    kind: Literal["add", "sub", "mul", "div"]
    clamp: Clamp = OPEN
    constant: Array | None = None
    constant_scale: float = 1.0
    constant_zero: int = 0
    swapped: bool = False


@dataclass(frozen=True, eq=False)
class Table(Op):
    """i8 -> i8: `table[code]`, uint8 (256,). Every function of one code, requantization included."""

    table: Array


@dataclass(frozen=True, eq=False)
class Unary(Op):
    """f32 -> f32. `function` is one of UNARY; `a`, `b` are its parameters. Formulas: `shoestring.native.functions`."""

    function: str
    a: float = 0.0
    b: float = 0.0


UNARY = ("clip", "leaky_relu", "sigmoid", "hard_sigmoid", "hard_swish", "silu", "tanh", "exp", "sqrt", "neg", "abs")
"""clip(a, b); leaky_relu(slope a); hard_sigmoid max(0, min(1, a * x + b)); hard_swish x * hard_sigmoid(1/6, 1/2)."""


@dataclass(frozen=True, eq=False)
class Pool(Op):
    """(1, C, H, W) -> (1, C, H', W'); output sizes are those of the output value (ceil mode is resolved).

    max: largest code or float of the window inside the image (input and output share scale and zero).
    average, i8: `rint(float32(sum of (code - zx)) * m) + zy`, m = float32(float32(sx / sy) / float32(count)); f32:
    sum in the order (row, column) from 0.0, divided by float32(count). `count` is the number of elements of the window
    inside the image, or within the padded image when `count_pads`.
    """

    function: Literal["max", "average"]
    kernel: Window
    strides: Window = (1, 1)
    pads: Pads = (0, 0, 0, 0)
    count_pads: bool = False


@dataclass(frozen=True, eq=False)
class Mean(Op):
    """Mean over the last two axes of (1, C, H, W): global average pooling. Arithmetic of Pool average over H x W.

    Output (1, C, 1, 1) or (1, C), as the output value says.
    """


@dataclass(frozen=True, eq=False)
class Softmax(Op):
    """f32 over one axis: exp(x - max), summed in order, divided. The exponential is `functions.exp`."""

    axis: int = -1


@dataclass(frozen=True, eq=False)
class Concat(Op):
    """Inputs side by side along `axis` (not negative); i8 inputs share scale and zero with the output."""

    axis: int


@dataclass(frozen=True, eq=False)
class Slice(Op):
    """`starts[i] + steps[i] * index` on every axis; steps may be negative."""

    starts: tuple[int, ...]
    steps: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Pad(Op):
    """Constant padding: `before[i]` elements in front of axis i, the output's shape says how many behind.

    `value` is a code for i8, a real for f32. Not negative.
    """

    before: tuple[int, ...]
    value: float


@dataclass(frozen=True, eq=False)
class Resize(Op):
    """(1, C, H, W) -> (1, C, H', W'), input and output of one scale and zero.

    nearest: `rows[y]`, `columns[x]` name the source of every output row and column.
    bilinear: between `rows[y]` and `rows2[y]` with weight `row_part[y]` (float32) of the second, columns likewise:
    `top = a + (b - a) * cx; bottom = c + (d - c) * cx; top + (bottom - top) * cy`, each operation rounded to float32
    (codes as floats; then rint for i8).
    """

    function: Literal["nearest", "bilinear"]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    rows2: tuple[int, ...] = ()
    columns2: tuple[int, ...] = ()
    row_part: tuple[float, ...] = ()
    column_part: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Transpose(Op):
    """numpy.transpose(x, axes)."""

    axes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Reshape(Op):
    """The same elements in the same (row-major, ONNX) order under the output's shape; also a copy when shapes agree."""


@dataclass(frozen=True)
class Port:
    """An input or output of the program as its caller sees it.

    Args:
        name: in the ONNX graph.
        value: name of the Value it holds: f32 for a float32 port, i8 for a uint8 or int8 one.
        dtype: float32, uint8 or int8; int8 codes are shifted by 128 when read and written.
        free_batch: the ONNX graph left the first axis free; the program takes 1.
    """

    name: str
    value: str
    dtype: str
    free_batch: bool = False


@dataclass(frozen=True, eq=False)
class Program:
    """A whole network in execution order.

    Args:
        name: a C identifier.
        values: by name.
        ops: in execution order; each value is made once.
        inputs, outputs: ports.
        source_sha256: of the ONNX file.
        notes: what the front did that its user should know.
    """

    name: str
    values: dict[str, Value]
    ops: tuple[Op, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    source_sha256: str = ""
    notes: tuple[str, ...] = field(default=())

    def consumers(self) -> dict[str, list[Op]]:
        """The ops that read each value."""
        found: dict[str, list[Op]] = {name: [] for name in self.values}
        for op in self.ops:
            for name in op.inputs:
                found[name].append(op)
        return found
