"""Networks of one operator or a few, by name: `case` keeps what the modules `tflite_cases_*` build."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tflite_files import SAME, TfliteNet

Build = Callable[[TfliteNet], None]
CASES: dict[str, Build] = {}


def case(name: str) -> Callable[[Build], Build]:
    """Keep a network under its name."""

    def keep(build: Build) -> Build:
        CASES[name] = build
        return build

    return keep


def conv(net: TfliteNet, x: int, shape: tuple[int, ...], kernel: tuple[int, ...], **fields: Any) -> int:
    options = {"strideH": 1, "strideW": 1, "padding": SAME, **fields}
    weights = [net.weight(*kernel), net.weight(kernel[0])]
    return net.add("CONV_2D", [x, *weights], shape, options="Conv2DOptions", **options)


def depthwise(net: TfliteNet, x: int, shape: tuple[int, ...], kernel: tuple[int, ...], **fields: Any) -> int:
    options = {"strideH": 1, "strideW": 1, "padding": SAME, "depthMultiplier": 1, **fields}
    weights = [net.weight(*kernel), net.weight(kernel[3])]
    return net.add("DEPTHWISE_CONV_2D", [x, *weights], shape, options="DepthwiseConv2DOptions", **options)
