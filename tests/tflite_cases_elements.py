"""Functions of single values, reductions and choices."""

from __future__ import annotations

import numpy as np

from tflite_cases import case, conv
from tflite_files import RELU, TfliteNet

UNARY = (
    "ABS",
    "CEIL",
    "COS",
    "EXP",
    "FLOOR",
    "HARD_SWISH",
    "LOGISTIC",
    "NEG",
    "RELU",
    "RELU6",
    "RELU_N1_TO_1",
    "ROUND",
    "SIN",
    "SQUARE",
    "TANH",
    "ELU",
    "RELU_0_TO_1",
    "SIGN",
)
for _kind in UNARY:

    @case(_kind)
    def _(net: TfliteNet, kind: str = _kind) -> None:
        net.add(kind, [net.input(1, 3, 4, 5)], (1, 3, 4, 5))


for _kind in ("LOG", "SQRT", "RSQRT"):

    @case(_kind)
    def _(net: TfliteNet, kind: str = _kind) -> None:
        x = net.add("EXP", [net.input(3, 5)], (3, 5))
        net.add(kind, [x], (3, 5))


BINARY = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions", "DIV": "DivOptions"}
for _kind, _options in BINARY.items():

    @case(f"{_kind} of two images, with relu")
    def _(net: TfliteNet, kind: str = _kind, options: str = _options) -> None:
        inputs = [net.input(1, 3, 4, 5), net.input(1, 3, 4, 5)]
        net.add(kind, inputs, (1, 3, 4, 5), options=options, fusedActivationFunction=RELU)

    @case(f"{_kind} of an image and channels")
    def _(net: TfliteNet, kind: str = _kind, options: str = _options) -> None:
        net.add(kind, [net.input(1, 3, 4, 5), net.weight(5)], (1, 3, 4, 5), options=options)

    @case(f"{_kind} of rows and columns")
    def _(net: TfliteNet, kind: str = _kind, options: str = _options) -> None:
        net.add(kind, [net.input(4, 5), net.input(1, 3, 4, 5)], (1, 3, 4, 5), options=options)


MORE = ("MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "FLOOR_DIV", "FLOOR_MOD")
for _kind in MORE:

    @case(_kind)
    def _(net: TfliteNet, kind: str = _kind) -> None:
        net.add(kind, [net.input(1, 3, 4, 5), net.input(1, 1, 1, 5)], (1, 3, 4, 5))


@case("POW")
def _(net: TfliteNet) -> None:
    net.add("POW", [net.add("ABS", [net.input(3, 5)], (3, 5)), net.const(np.float32(1.7))], (3, 5))


@case("ADD_N")
def _(net: TfliteNet) -> None:
    net.add("ADD_N", [net.input(3, 5), net.input(3, 5), net.input(3, 5)], (3, 5))


for _kind in ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"):

    @case(_kind)
    def _(net: TfliteNet, kind: str = _kind) -> None:
        net.add(kind, [net.input(40, kind="INT32"), net.input(40, kind="INT32")], (40,), to="BOOL")


@case("logic and choice")
def _(net: TfliteNet) -> None:
    a, b, x, y = net.input(9, kind="BOOL"), net.input(9, kind="BOOL"), net.input(9), net.input(9)
    c = net.add("LOGICAL_AND", [a, net.add("LOGICAL_NOT", [b], (9,), to="BOOL")], (9,), to="BOOL")
    c = net.add("LOGICAL_OR", [c, net.add("GREATER", [x, y], (9,), to="BOOL")], (9,), to="BOOL")
    net.add("SELECT_V2", [c, x, y], (9,))


@case("PRELU by channel")
def _(net: TfliteNet) -> None:
    net.add("PRELU", [net.input(1, 3, 4, 5), net.weight(1, 1, 5)], (1, 3, 4, 5))


@case("LEAKY_RELU")
def _(net: TfliteNet) -> None:
    net.add("LEAKY_RELU", [net.input(1, 3, 4, 5)], (1, 3, 4, 5), options="LeakyReluOptions", alpha=0.3)


for _approximate in (False, True):

    @case(f"GELU {_approximate}")
    def _(net: TfliteNet, approximate: bool = _approximate) -> None:
        net.add("GELU", [net.input(3, 5)], (3, 5), options="GeluOptions", approximate=approximate)


@case("SOFTMAX with a slope")
def _(net: TfliteNet) -> None:
    net.add("SOFTMAX", [net.input(3, 5)], (3, 5), options="SoftmaxOptions", beta=2.0)


@case("SOFTMAX over channels")
def _(net: TfliteNet) -> None:
    net.add("SOFTMAX", [net.input(1, 3, 4, 5)], (1, 3, 4, 5), options="SoftmaxOptions", beta=1.0)


@case("LOG_SOFTMAX")
def _(net: TfliteNet) -> None:
    net.add("LOG_SOFTMAX", [net.input(3, 5)], (3, 5), options="LogSoftmaxOptions")


@case("L2_NORMALIZATION")
def _(net: TfliteNet) -> None:
    net.add("L2_NORMALIZATION", [net.input(1, 3, 4, 5)], (1, 3, 4, 5), options="L2NormOptions")


for _kind, _shape in (("MEAN", (1, 5)), ("SUM", (1, 5)), ("REDUCE_MAX", (1, 5)), ("REDUCE_MIN", (1, 5))):

    @case(f"{_kind} over rows and columns")
    def _(net: TfliteNet, kind: str = _kind, shape: tuple[int, ...] = _shape) -> None:
        net.add(kind, [net.input(1, 3, 4, 5), net.ints(1, 2)], shape, options="ReducerOptions")

    @case(f"{_kind} over channels, axes kept")
    def _(net: TfliteNet, kind: str = _kind) -> None:
        inputs = [net.input(1, 3, 4, 5), net.ints(-1)]
        net.add(kind, inputs, (1, 3, 4, 1), options="ReducerOptions", keepDims=True)

    @case(f"{_kind} over rows, axis dropped")
    def _(net: TfliteNet, kind: str = _kind) -> None:
        net.add(kind, [net.input(1, 3, 4, 5), net.ints(1)], (1, 4, 5), options="ReducerOptions")


@case("MEAN over rows and columns, axes kept")
def _(net: TfliteNet) -> None:
    x = net.add("MEAN", [net.input(1, 3, 4, 5), net.ints(1, 2)], (1, 1, 1, 5), options="ReducerOptions", keepDims=True)
    conv(net, x, (1, 1, 1, 4), (4, 1, 1, 5))


@case("REDUCE_PROD")
def _(net: TfliteNet) -> None:
    net.add("REDUCE_PROD", [net.input(3, 5), net.ints(0)], (5,), options="ReducerOptions")


for _kind in ("ARG_MAX", "ARG_MIN"):

    @case(_kind)
    def _(net: TfliteNet, kind: str = _kind) -> None:
        options = f"{kind.title().replace('_', '')}Options"
        inputs = [net.input(1, 3, 4, 5), net.ints(-1)]
        net.add(kind, inputs, (1, 3, 4), to="INT64", options=options, outputType=4)


@case("CUMSUM")
def _(net: TfliteNet) -> None:
    net.add("CUMSUM", [net.input(3, 5), net.const(np.int32(1))], (3, 5), options="CumsumOptions", exclusive=True)


@case("TOPK_V2")
def _(net: TfliteNet) -> None:
    x = net.input(3, 7)
    values = net.add("TOPK_V2", [x, net.const(np.int32(2))], (3, 2), (3, 2), to="FLOAT32", options="TopKV2Options")
    net.tensors[values + 1].type = 2
