"""A small detector that works, and pictures for it: bright squares of two sizes and three colours on a dim ground.

Its weights are made by hand. A first convolution takes the mean colour of each 8x8 cell in three channels and adds
noisy ones that the heads hardly use; one raw YOLO head reads the cells, another the mean of four of them. So each
bright cell gives a box of the fine head, and a square of four cells one of the coarse head too, sure in the measure of
its brightness.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from shoestring.domain.head import Head, Part

SIZE, CELL = 64, 8
CLASSES = ("red", "green", "blue")
SPARE = 5  # channels of the first convolution beside the colours
BOX = 5
SLOPE, MIDDLE = 16.0, 0.85  # of the logit of objectness in the brightness of the brightest colour, 0 to 1
ANCHORS = (((16.0, 16.0),), ((8.0, 8.0),))  # of the coarse head, of the fine one

LENGTH = (BOX + len(CLASSES)) * ((SIZE // CELL) ** 2 * 5 // 4)
HEAD = Head(
    "yolo-anchors",
    (
        Part("coarse", (BOX + len(CLASSES), SIZE // CELL // 2, SIZE // CELL // 2)),
        Part("fine", (BOX + len(CLASSES), SIZE // CELL, SIZE // CELL)),
    ),
    len(CLASSES),
    ANCHORS,
)
HEAD_TOML = """kind = "yolo-anchors"
classes = 3
outputs = ["coarse", "fine"]
anchors = [[[16.0, 16.0]], [[8.0, 8.0]]]
"""
PREPROCESS_TOML = f"height = {SIZE}\nwidth = {SIZE}\n"


@dataclass(frozen=True)
class Square:
    """Left, top and side in cells, index of the colour, brightness 0 to 1."""

    left: int
    top: int
    side: int
    colour: int
    brightness: float


def make_scene(rng: np.random.Generator) -> tuple[np.ndarray, list[Square]]:
    """uint8 (64, 64, 3), and the squares in it; none touches another."""
    cells = SIZE // CELL
    taken = np.zeros((cells + 2, cells + 2), bool)
    picture = rng.uniform(0, 40, (SIZE, SIZE, 3))
    squares = []
    for _ in range(rng.integers(1, 4)):
        side = int(rng.integers(1, 3))
        left, top = (side * int(rng.integers(0, cells // side)) for _ in range(2))
        around = (slice(top, top + side + 2), slice(left, left + side + 2))
        if taken[around].any():
            continue
        taken[around] = True
        square = Square(left, top, side, int(rng.integers(3)), float(rng.uniform(0.5, 1.0)))
        span = [slice(CELL * start, CELL * (start + side)) for start in (top, left)]
        picture[span[0], span[1], square.colour] = 255 * square.brightness
        squares.append(square)
    return np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8), squares


def make_weights(seed: int = 0) -> dict[str, np.ndarray]:
    """Of the three convolutions."""
    rng = np.random.default_rng(seed)
    first = 3 + SPARE
    kernel = rng.normal(0, 0.02, (first, 3, CELL, CELL))
    kernel[:3] = 0
    for colour in range(3):
        kernel[colour, colour] = 1 / CELL**2
    weights = {"cells.w": kernel, "cells.b": np.concatenate([np.zeros(3), rng.normal(0, 0.05, SPARE)])}
    for name in ("coarse", "fine"):
        head = np.zeros((BOX + len(CLASSES), first, 1, 1))
        head[:, 3:, 0, 0] = rng.normal(0, 0.02, (len(head), SPARE))
        head[BOX - 1, :3, 0, 0] = SLOPE
        for colour in range(3):
            head[BOX + colour, :3, 0, 0] = -SLOPE / 2
            head[BOX + colour, colour, 0, 0] = SLOPE / 2
        bias = np.zeros(len(head))
        bias[BOX - 1] = -SLOPE * MIDDLE
        weights |= {f"{name}.w": head, f"{name}.b": bias}
    return {name: value.astype(np.float32) for name, value in weights.items()}


def make_model(weights: dict[str, np.ndarray] | None = None, *, joined: bool = False) -> Any:
    """Conv and ReLU; the coarse head behind a pool, the fine head beside it. Two raw outputs, or one of both."""
    weights = weights or make_weights()
    cells, channels = SIZE // CELL, BOX + len(CLASSES)
    nodes = [
        helper.make_node("Conv", ["image", "cells.w", "cells.b"], ["c"], name="cells", strides=[CELL, CELL]),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("AveragePool", ["r"], ["p"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p", "coarse.w", "coarse.b"], ["coarse"], name="coarse"),
        helper.make_node("Conv", ["r", "fine.w", "fine.b"], ["fine"], name="fine"),
    ]
    outputs = [
        helper.make_tensor_value_info("coarse", TensorProto.FLOAT, ["n", channels, cells // 2, cells // 2]),
        helper.make_tensor_value_info("fine", TensorProto.FLOAT, ["n", channels, cells, cells]),
    ]
    if joined:
        nodes += [
            helper.make_node("Flatten", [name], [f"{name}/flat"], name=f"{name}/flat") for name in ("coarse", "fine")
        ]
        nodes.append(helper.make_node("Concat", ["coarse/flat", "fine/flat"], ["detections"], name="join", axis=1))
        outputs = [helper.make_tensor_value_info("detections", TensorProto.FLOAT, ["n", LENGTH])]
    graph = helper.make_graph(
        nodes,
        "squares",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])],
        outputs,
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@dataclass(frozen=True)
class Task:
    """Where the files lie."""

    model: Path
    data: Path
    head: Path


def write_task(folder: Path, count: int = 240, seed: int = 0) -> Task:
    """Model, pictures and the description of the head."""
    rng = np.random.default_rng(seed)
    model, data, head = folder / "squares.onnx", folder / "pictures", folder / "head.toml"
    model.write_bytes(make_model().SerializeToString(deterministic=True))
    data.mkdir()
    for place in range(count):
        Image.fromarray(make_scene(rng)[0]).save(data / f"{place:04}.png")
    head.write_text(HEAD_TOML)
    return Task(model, data, head)
