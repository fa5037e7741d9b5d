"""Small TFLite files, written operator by operator."""

from __future__ import annotations

import numpy as np
import pytest

from shoestring.runtimes.litert_ports import METADATA, LitertPort, write_ports


def tiny_model(*, ours: bool = True) -> bytes:
    """The tiny model of the contract: y = a @ w over a free batch, z = -b of integers.

    Args:
        ours: with the entry that our converter writes, else as anybody's file: the batch is free in the file itself.
    """
    pytest.importorskip("ai_edge_litert", reason="making a TFLite model needs the package ai-edge-litert")
    from shoestring.convert.tflite.flat import Flat

    flat = Flat()
    free = () if ours else (0,)
    a, b = flat.tensor("a", (1, 3), "float32", free=free), flat.tensor("b", (2,), "int64")
    y, z = flat.tensor("y", (1, 4), "float32", free=free), flat.tensor("z", (2,), "int64")
    weight = flat.plain(np.arange(12).reshape(3, 4).T, "float32", "w")
    bias = flat.plain(np.zeros(4), "float32", "bias")
    flat.operator("FULLY_CONNECTED", (a, weight, bias), y, options="FullyConnected")
    flat.operator("MUL", (b, flat.plain([-1], "int64", "minus")), z, options="Mul")
    if ours:
        flat.metadata(
            METADATA,
            write_ports(
                (LitertPort("a", (0, 1), True), LitertPort("b", (0,), False)),
                (LitertPort("y", (0, 1), True), LitertPort("z", (0,), False)),
            ),
        )
    return flat.finish((a, b), (y, z), "tiny")
