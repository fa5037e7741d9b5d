"""A small task that is real in every part: a classifier that works, images it can be wrong on, known costs.

Images of 16x16 pixels show one of three colours through noise; the classifier is a random convolutional network whose
last layer was fitted by ridge regression, right on about 95 % of the images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from shoestring.costmodel.layer_times import LayerTimes
from shoestring.domain.cost import Cost, Timing

SIZE = 16
CLASSES = ("blue", "green", "red")
CHANNEL = {"blue": 2, "green": 1, "red": 0}  # of RGB
TRAINING_SEED = 1_000_003  # far from the seeds of the data sets, so that no image is in both
LOGIT_SCALE = 8.0
RIDGE = 0.01  # keeps the last layer's weights small enough for 8 bits
WIDTHS = (16, 32)

KNOWN_MS = {"fp32": 4.0, "fp16-weights": 0.9, "int8": 1.0, "int8-float1": 2.0}
"""Latencies at one thread that `known_costs` gives out; at more threads they are divided by the count."""
KNOWN_RSS_BYTES = {"fp32": 90_000_000, "fp16-weights": 92_000_000, "int8": 70_000_000, "int8-float1": 80_000_000}


@dataclass(frozen=True)
class Task:
    """Where the files of the task lie.

    Args:
        model: ONNX, free batch, 0..1 RGB.
        data: folder of class folders.
        wild: the same images in one flat folder, without labels.
    """

    model: Path
    data: Path
    wild: Path


def make_images(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (count, 16, 16, 3) and the class of each; the classes take turns."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    colours = np.repeat(rng.uniform(70, 150, (count, 1)), 3, axis=1)
    for place, label in enumerate(labels):
        colours[place, CHANNEL[CLASSES[label]]] += rng.normal(37, 20)
    noise = rng.normal(0, 25, (count, SIZE, SIZE, 3))
    return np.clip(colours[:, None, None, :] + noise, 0, 255).astype(np.uint8), labels


def make_weights(seed: int = 0) -> dict[str, np.ndarray]:
    """Random convolutions, and a last layer fitted to images that no test sees."""
    rng = np.random.default_rng(seed)
    first, second = WIDTHS
    weights = {
        "conv1.w": rng.normal(0, 0.3, (first, 3, 3, 3)),
        "conv1.b": rng.normal(0, 0.1, first),
        "conv2.w": rng.normal(0, 0.1, (second, first, 3, 3)),
        "conv2.b": rng.normal(0, 0.1, second),
    }
    images, labels = make_images(900, TRAINING_SEED)
    features = _features(weights, images.astype(np.float64).transpose(0, 3, 1, 2) / 255)
    design = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    targets = LOGIT_SCALE * np.eye(len(CLASSES))[labels]
    ridge = RIDGE * np.eye(design.shape[1])
    head = np.linalg.solve(design.T @ design + ridge, design.T @ targets)
    weights["head.w"], weights["head.b"] = head[:-1], head[-1]
    return {name: value.astype(np.float32) for name, value in weights.items()}


def make_model(weights: Mapping[str, np.ndarray] | None = None, *, batch: int | None = None, opset: int = 18) -> Any:
    """The classifier as an ONNX message: Conv, Relu, MaxPool, Conv, Relu, GlobalAveragePool, Flatten, Gemm."""
    weights = weights or make_weights()
    nodes = [
        helper.make_node("Conv", ["image", "conv1.w", "conv1.b"], ["c1"], name="conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], name="relu1"),
        helper.make_node("MaxPool", ["r1"], ["m1"], name="pool1", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["m1", "conv2.w", "conv2.b"], ["c2"], name="conv2", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], ["r2"], name="relu2"),
        helper.make_node("GlobalAveragePool", ["r2"], ["p2"], name="pool2"),
        helper.make_node("Flatten", ["p2"], ["f2"], name="flatten"),
        helper.make_node("Gemm", ["f2", "head.w", "head.b"], ["logits"], name="head"),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch or "n", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch or "n", len(CLASSES)])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def answer(weights: Mapping[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """Logits of uint8 images (n, 16, 16, 3): the network's twin in numpy, float64."""
    features = _features(weights, images.astype(np.float64).transpose(0, 3, 1, 2) / 255)
    logits: np.ndarray = features @ weights["head.w"] + weights["head.b"]
    return logits


def write_images(folder: Path, images: np.ndarray, labels: Sequence[int] | None) -> Path:
    """PNG files, in class folders when there are labels."""
    for place, image in enumerate(images):
        inner = folder if labels is None else folder / CLASSES[labels[place]]
        inner.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(inner / f"{place:04}.png")
    return folder


def write_task(folder: Path, count: int = 400, seed: int = 0) -> Task:
    """The model, and `count` images with and without labels."""
    images, labels = make_images(count, seed)
    model = folder / "tiny.onnx"
    model.write_bytes(make_model().SerializeToString(deterministic=True))
    data = write_images(folder / "photos", images, labels.tolist())
    return Task(model, data, write_images(folder / "wild", images, None))


def known_costs(
    artefacts: Sequence[Any], reference: str, threads: Sequence[int], *, progress: Any = None, **_: Any
) -> dict[str, Cost]:
    """A stand-in for `costmodel.measure.measure` whose answers are known: see KNOWN_MS and KNOWN_RSS_BYTES."""
    if progress is not None:
        progress("known costs")

    def known(name: str) -> str:
        return name.rstrip("bcd")  # of several mixtures with as many float layers

    def timing(name: str, count: int) -> Timing:
        median, ratio = KNOWN_MS[known(name)] / count, KNOWN_MS[known(name)] / KNOWN_MS[reference]
        return Timing(count, median, 0.9 * median, 1.1 * median, 100, ratio, 0.9 * ratio, 1.1 * ratio)

    return {
        one.name: Cost(
            tuple(timing(one.name, count) for count in threads), KNOWN_RSS_BYTES[known(one.name)], one.size_bytes
        )
        for one in artefacts
    }


def known_layer_times(*_: Any) -> LayerTimes:
    """A stand-in for `fitting.mixing.measure_layers`: only conv2 is cheap in float, so it alone is ever left there."""
    in_float = {"conv1": 5.0, "conv2": 0.11, "head": 5.0}
    return LayerTimes(dict.fromkeys(in_float, 0.1), in_float, 0.0, ())


def listing(folder: Path) -> dict[str, str]:
    """Every file below a folder with the hash of its content: two equal listings mean that nothing was touched."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


def _features(weights: Mapping[str, np.ndarray], inputs: np.ndarray) -> np.ndarray:
    """What the last layer sees: the network in numpy, float64."""
    first = np.maximum(_convolve(inputs, weights["conv1.w"], weights["conv1.b"]), 0)
    n, channels, height, width = first.shape
    pooled = first.reshape(n, channels, height // 2, 2, width // 2, 2).max(axis=(3, 5))
    second = np.maximum(_convolve(pooled, weights["conv2.w"], weights["conv2.b"]), 0)
    means: np.ndarray = second.mean(axis=(2, 3))
    return means


def _convolve(inputs: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """3x3, padded by one."""
    padded = np.pad(inputs, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    summed = np.tensordot(windows, kernel, axes=([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2)
    result: np.ndarray = summed + bias[:, None, None]
    return result
