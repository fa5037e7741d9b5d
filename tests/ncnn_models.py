"""Small ncnn networks made by hand, so that the runtime is tested without the converter."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest

from shoestring.base.errors import EngineError
from shoestring.domain.model import TensorSpec
from shoestring.runtimes import registry
from shoestring.runtimes.ncnn_file import NcnnFile, Port, pack

TEXT = """7767517
4 4
Input in_a 0 1 a 0=3
Input in_b 0 1 b 0=2
InnerProduct product 1 1 a y 0=4 1=1 2=12
UnaryOp minus 1 1 b z 0=1
"""


def tiny() -> NcnnFile:
    """y = a times a 3 x 4 matrix plus 1, over a free batch; z = -b."""
    weights = struct.pack("<I", 0) + np.arange(12, dtype="<f4").tobytes() + np.ones(4, "<f4").tobytes()
    inputs = (Port(TensorSpec("a", "float32", (None, 3)), "a"), Port(TensorSpec("b", "int64", (2,)), "b"))
    outputs = (Port(TensorSpec("y", "float32", (None, 4)), "y"), Port(TensorSpec("z", "int64", (2,)), "z"))
    return NcnnFile("fp32", inputs, outputs, TEXT, weights)


def tiny_model() -> bytes:
    return pack(tiny())


def tiny_model_for_a_gpu() -> bytes:
    """The same, where there is a GPU for it; else the test is skipped by name."""
    if "ncnn" in registry.installed():
        try:
            registry.get("ncnn-vulkan").load(tiny_model(), 1).close()
        except EngineError as error:
            pytest.skip(error.message)
    return tiny_model()


def changed(text: str, **more: object) -> bytes:
    """The tiny network's file with another text, and other fields."""
    return pack(replace(tiny(), param=text, **more))
