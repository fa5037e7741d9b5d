"""Darknet's forward pass once more in numpy, written from its C code and apart from the importer, to hold that to it.

It also makes weights: normal kernels scaled by their fan-in (He et al., 2015), so that values neither die nor explode
in seventy layers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Options = dict[str, str]


def parse(text: str) -> list[tuple[str, Options]]:
    sections: list[tuple[str, Options]] = []
    for raw in text.splitlines():
        line = "".join(raw.split())
        if line.startswith("["):
            sections.append((line.strip("[]"), {}))
        elif line and line[0] not in "#;":
            key, _, value = line.partition("=")
            sections[-1][1][key] = value
    return sections


def activate(kind: str, x: Array) -> Array:
    with np.errstate(over="ignore"):
        table = {
            "linear": lambda: x,
            "relu": lambda: np.maximum(x, 0),
            "relu6": lambda: np.clip(x, 0, 6),
            "leaky": lambda: np.where(x > 0, x, 0.1 * x),
            "relie": lambda: np.where(x > 0, x, 0.01 * x),
            "logistic": lambda: 1 / (1 + np.exp(-x)),
            "loggy": lambda: 2 / (1 + np.exp(-x)) - 1,
            "tanh": lambda: np.tanh(x),
            "elu": lambda: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
            "selu": lambda: np.where(x > 0, 1.0507 * x, 1.0507 * 1.6732 * np.expm1(np.minimum(x, 0))),
            "hardtan": lambda: np.clip(x, -1, 1),
            "swish": lambda: x / (1 + np.exp(-x)),
            "mish": lambda: x * np.tanh(np.log1p(np.exp(x))),
        }
        return np.asarray(table[kind](), np.float32)


class Network:
    """Runs a .cfg on images (N, C, H, W). Without `words` it draws weights while it runs and keeps them."""

    def __init__(self, text: str, words: Array | None = None, seed: int = 0) -> None:
        self.sections = parse(text)
        self.words, self.place, self.drawn = words, 0, []
        self.chance = np.random.default_rng(seed)

    def take(self, shape: tuple[int, ...], kind: str) -> Array:
        count = math.prod(shape)
        if self.words is not None:
            found = self.words[self.place : self.place + count].reshape(shape)
            self.place += count
            return found
        if kind == "kernel":
            found = self.chance.normal(0, math.sqrt(2 / math.prod(shape[1:])), shape)
        else:
            low, high = {"shift": (-0.5, 0.5), "scale": (0.6, 1.2), "mean": (-0.3, 0.3), "variance": (0.5, 2.0)}[kind]
            found = self.chance.uniform(low, high, shape)
        found = found.astype(np.float32)
        self.drawn.append(found.reshape(-1))
        return found

    def run(self, x: Array) -> dict[str, Array]:
        """The heads by name, and `output` when the last layer is none."""
        results: list[Array] = []
        heads: dict[str, Array] = {}
        for index, (kind, options) in enumerate(self.sections[1:]):
            if kind in ("yolo", "region"):
                heads[f"{kind}_{sum(name.startswith(kind) for name in heads)}"] = x
                results.append(x)
                continue
            x = getattr(self, f"run_{kind}")(x, options, results, index)
            results.append(x)
        return heads if self.sections[-1][0] in ("yolo", "region") else {**heads, "output": x}

    def run_convolutional(self, x: Array, o: Options, _: list[Array], __: int) -> Array:
        n, size, groups = int(o["filters"]), int(o["size"]), int(o.get("groups", 1))
        dilation = int(o.get("dilation", 1))
        pad = size // 2 if int(o.get("pad", 0)) else int(o.get("padding", 0))
        rows = int(o.get("stride_y", o.get("stride", 1)))
        columns = int(o.get("stride_x", o.get("stride", 1)))
        shift = self.take((n,), "shift")
        norm = int(o.get("batch_normalize", 0))
        scale, mean, variance = (self.take((n,), k) for k in ("scale", "mean", "variance")) if norm else (1, 0, 1)
        kernel = self.take((n, x.shape[1] // groups, size, size), "kernel")
        y = convolve(x, kernel, (rows, columns), pad, dilation, groups)
        if norm:
            y = (y - mean[:, None, None]) / np.sqrt(variance + 1e-5)[:, None, None] * scale[:, None, None]
        return activate(o.get("activation", "logistic"), y + shift[:, None, None])

    def run_connected(self, x: Array, o: Options, _: list[Array], __: int) -> Array:
        n, flat = int(o["output"]), x.reshape(len(x), -1)
        shift, kernel = self.take((n,), "shift"), self.take((n, flat.shape[1]), "kernel")
        y = flat @ kernel.T
        if int(o.get("batch_normalize", 0)):
            scale, mean, variance = (self.take((n,), kind) for kind in ("scale", "mean", "variance"))
            y = (y - mean) / np.sqrt(variance + 1e-5) * scale
        return activate(o.get("activation", "logistic"), y + shift)

    def run_maxpool(self, x: Array, o: Options, _: list[Array], __: int) -> Array:
        """forward_maxpool_layer: one window after the other, with what lies outside at minus infinity."""
        stride = int(o.get("stride", 1))
        size = int(o.get("size", stride))
        padding = int(o.get("padding", size - 1))
        height, width = x.shape[2:]
        out_h, out_w = (height + padding - size) // stride + 1, (width + padding - size) // stride + 1
        y = np.full((*x.shape[:2], out_h, out_w), -np.inf, np.float32)
        for i in range(out_h):
            for j in range(out_w):
                top, left = i * stride - padding // 2, j * stride - padding // 2
                window = x[:, :, max(0, top) : top + size, max(0, left) : left + size]
                y[:, :, i, j] = window.max(axis=(2, 3))
        return y

    def run_route(self, _: Array, o: Options, results: list[Array], index: int) -> Array:
        parts = [results[i if i >= 0 else index + i] for i in map(int, o["layers"].split(","))]
        groups, group = int(o.get("groups", 1)), int(o.get("group_id", 0))
        return np.concatenate([np.split(part, groups, axis=1)[group] for part in parts], axis=1)

    def run_shortcut(self, x: Array, o: Options, results: list[Array], index: int) -> Array:
        for i in map(int, o["from"].split(",")):
            x = x + results[i if i >= 0 else index + i]
        return activate(o.get("activation", "linear"), x)

    def run_scale_channels(self, x: Array, o: Options, results: list[Array], index: int) -> Array:
        i = int(o["from"])
        return activate(o.get("activation", "linear"), results[i if i >= 0 else index + i] * x)

    run_sam = run_scale_channels

    def run_upsample(self, x: Array, o: Options, _: list[Array], __: int) -> Array:
        stride = int(o.get("stride", 2))
        return x.repeat(stride, axis=2).repeat(stride, axis=3)

    def run_avgpool(self, x: Array, _: Options, __: list[Array], ___: int) -> Array:
        return x.mean(axis=(2, 3), keepdims=True)

    def run_softmax(self, x: Array, o: Options, _: list[Array], __: int) -> Array:
        parts = x.reshape(len(x), int(o.get("groups", 1)), -1) / float(o.get("temperature", 1))
        powers = np.exp(parts - parts.max(axis=-1, keepdims=True))
        return np.asarray((powers / powers.sum(axis=-1, keepdims=True)).reshape(len(x), -1), np.float32)

    def run_activation(self, x: Array, o: Options, _: list[Array], __: int) -> Array:
        return activate(o["activation"], x)

    def run_dropout(self, x: Array, _: Options, __: list[Array], ___: int) -> Array:
        return x

    run_cost = run_dropout


def convolve(x: Array, kernel: Array, strides: tuple[int, int], pad: int, dilation: int, groups: int) -> Array:
    """im2col and one product a group, as Darknet does it."""
    pad *= dilation
    span = dilation * (kernel.shape[2] - 1) + 1
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (span, span), axis=(2, 3))
    windows = windows[:, :, :: strides[0], :: strides[1], ::dilation, ::dilation]
    made = []
    for part, weights in zip(np.split(windows, groups, axis=1), np.split(kernel, groups), strict=True):
        columns = part.transpose(0, 2, 3, 1, 4, 5).reshape(*part.shape[0:1], *part.shape[2:4], -1)
        made.append((columns @ weights.reshape(len(weights), -1).T).transpose(0, 3, 1, 2))
    return np.concatenate(made, axis=1)


def draw(text: str, side: int, channels: int = 3, seed: int = 0) -> Array:
    """Weights for a network, in the order of a .weights file."""
    network = Network(text, seed=seed)
    network.run(np.zeros((1, channels, side, side), np.float32))
    return np.concatenate(network.drawn) if network.drawn else np.zeros(0, np.float32)


def decode(outputs: dict[str, Array], content: dict[str, Any], least: float = 0.5) -> list[tuple[int, float, Array]]:
    """Boxes of a network's first image from its raw yolo heads: class, score, and (left, top, right, bottom) in 0..1.

    Redmon and Farhadi, "YOLOv3: An Incremental Improvement", 2018, figure 2; boxes of one class that overlap by more
    than 0.45 of their union keep the best one.
    """
    width, height = content["input"]["width"], content["input"]["height"]
    found: list[tuple[int, float, Array]] = []
    for head in content["heads"]:
        anchors = np.asarray(head["anchors"])
        raw = outputs[head["output"]][0].reshape(len(anchors), 5 + head["classes"], *outputs[head["output"]].shape[2:])
        with np.errstate(over="ignore"):
            shares = 1 / (1 + np.exp(-raw.astype(np.float64)))
        scores = shares[:, 4:5] * shares[:, 5:]
        scale = head["scale_x_y"]
        for a, kind, row, column in np.argwhere(scores > least):
            x, y = (shares[a, i, row, column] * scale - (scale - 1) / 2 for i in (0, 1))
            x, y = (column + x) / raw.shape[3], (row + y) / raw.shape[2]
            w, h = np.exp(raw[a, 2:4, row, column].astype(np.float64)) * anchors[a] / (width, height)
            box = np.asarray([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
            found.append((int(kind), float(scores[a, kind, row, column]), box))
    kept: list[tuple[int, float, Array]] = []
    for one in sorted(found, key=lambda item: -item[1]):
        if not any(one[0] == other[0] and overlap(one[2], other[2]) > 0.45 for other in kept):
            kept.append(one)
    return kept


def overlap(a: Array, b: Array) -> float:
    """Intersection over union of two boxes."""
    inner = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    areas = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])
    return float(inner / (areas - inner))
