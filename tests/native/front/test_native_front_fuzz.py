"""Random small graphs: refused with a ModelError, or right; never wrong, never another exception."""

from __future__ import annotations

import os
from collections import Counter

import numpy as np

from native.front_helpers import feeds_of
from native.qdq_models import Sketch, on_ort
from shoestring.base.errors import ModelError
from shoestring.native.compiling import prepare
from shoestring.native.interpret import run

GRAPHS = 4000 if os.environ.get("SHOESTRING_PROOF") else 200
UNKNOWN = ("Sin", "Erf", "Floor", "Softplus", "Sign")
PLAIN = ("Relu", "Sigmoid", "Tanh", "HardSwish", "HardSigmoid", "LeakyRelu", "Neg", "Abs", "Identity", "Elu")


class Fuzz:
    """A random graph of images.

    Args:
        seed: everything follows from it.
    """

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng((91, seed))
        shape = (1, int(self.rng.integers(1, 7)), int(self.rng.integers(3, 10)), int(self.rng.integers(3, 10)))
        self.sketch = Sketch(*shape)
        self.sketch.rng = self.rng
        self.quantized = seed % 2 == 1
        self.unknown: set[str] = set()
        self.made = [(self._paired("x"), shape)]
        for _ in range(int(self.rng.integers(1, 7))):
            self._step()
        self.model = self.sketch.bytes(self.made[-1][0])

    def _paired(self, tensor: str) -> str:
        if not self.quantized or self.rng.random() < 0.25:
            return tensor
        dtype = ("uint8", "int8")[int(self.rng.integers(2))]
        return self.sketch.pair(tensor, float(self.rng.uniform(0.02, 0.06)), 120 if dtype == "uint8" else -5, dtype)

    def _pick(self, *items):
        return items[int(self.rng.integers(len(items)))]

    def _step(self) -> None:
        tensor, shape = self.made[-1] if self.rng.random() < 0.8 else self._pick(*self.made)
        kind = self._pick(
            "conv", "plain", "clip", "binary", "constant", "pool", "move", "pad", "resize", "concat", "mean"
        )
        if self.rng.random() < 0.05:
            kind = "unknown"
        tensor, shape = getattr(self, f"_{kind}")(tensor, shape)
        self.made.append((self._paired(tensor), shape))

    def _conv(self, x, shape):
        channels, rng = shape[1], self.rng
        groups = self._pick(1, 1, channels)
        out = groups * int(rng.integers(1, 4))
        sides = [int(n) for n in rng.integers(1, 4, 2)]
        strides, dilations = [self._pick(1, 2), self._pick(1, 2)], [self._pick(1, 1, 2)] * 2
        pads = [int(n) for n in rng.integers(0, 3, 4)]
        after = [
            (shape[2 + i] + pads[i] + pads[2 + i] - (sides[i] - 1) * dilations[i] - 1) // strides[i] + 1 for i in (0, 1)
        ]
        if min(after) < 1:
            return x, shape
        if self.quantized and rng.random() < 0.8:
            weight = self.sketch.weight8(out, channels // groups, *sides, axis=self._pick(0, None))
        else:
            weight = self.sketch.normal(out, channels // groups, *sides)
        bias = [] if rng.random() < 0.3 else [self.sketch.normal(out)]
        settings = {"group": groups, "strides": strides, "dilations": dilations, "pads": pads}
        return self.sketch.add("Conv", x, weight, *bias, **settings), (1, out, *after)

    def _plain(self, x, shape):
        op = self._pick(*PLAIN)
        self.unknown.update({op} & {"Elu"})
        return self.sketch.add(op, x), shape

    def _unknown(self, x, shape):
        op = self._pick(*UNKNOWN)
        self.unknown.add(op)
        return self.sketch.add(op, x), shape

    def _clip(self, x, shape):
        low = "" if self.rng.random() < 0.3 else self.sketch.constant(float(self.rng.normal()), "float32")
        high = self.sketch.constant(float(self.rng.uniform(0, 6)), "float32")
        return self.sketch.add("Clip", x, low, high), shape

    def _binary(self, x, shape):
        other = self._pick(*[name for name, found in self.made if found == shape])
        pair = [(x, other), (other, x)][int(self.rng.integers(2))]
        return self.sketch.add(self._pick("Add", "Sub", "Mul"), *pair), shape

    def _constant(self, x, shape):
        sizes = self._pick((), (1,), (shape[1], 1, 1), shape)
        value = self.sketch.constant(self.rng.uniform(0.5, 2, sizes), "float32")
        return self.sketch.add(self._pick("Add", "Sub", "Mul", "Div"), x, value), shape

    def _pool(self, x, shape):
        op = self._pick("MaxPool", "AveragePool")
        side, stride = self._pick(2, 3), self._pick(1, 2)
        pad = int(self.rng.integers(0, side // 2 + 1))
        after = tuple((n + 2 * pad - side) // stride + 1 for n in shape[2:])
        if min(after) < 1:
            return x, shape
        settings = {"kernel_shape": [side] * 2, "strides": [stride] * 2, "pads": [pad] * 4}
        if op == "AveragePool":
            settings["count_include_pad"] = self._pick(0, 1)
        return self.sketch.add(op, x, **settings), (*shape[:2], *after)

    def _move(self, x, shape):
        if self.rng.random() < 0.5:
            axes = self._pick([0, 1, 3, 2], [0, 3, 1, 2], [0, 2, 3, 1])
            return self.sketch.add("Transpose", x, perm=axes), tuple(shape[i] for i in axes)
        axis = int(self.rng.integers(1, 4))
        start = int(self.rng.integers(0, shape[axis]))
        words = [self.sketch.constant([n], "int64") for n in (start, shape[axis], axis)]
        return self.sketch.add("Slice", x, *words), tuple(n - start if i == axis else n for i, n in enumerate(shape))

    def _pad(self, x, shape):
        given = [
            0,
            0,
            *(int(n) for n in self.rng.integers(0, 3, 2)),
            0,
            0,
            *(int(n) for n in self.rng.integers(0, 3, 2)),
        ]
        value = self.sketch.constant(self._pick(0.0, 0.0, 0.37), "float32")
        made = self.sketch.add("Pad", x, self.sketch.constant(given, "int64"), value)
        return made, tuple(n + given[i] + given[4 + i] for i, n in enumerate(shape))

    def _resize(self, x, shape):
        if max(shape) > 12:
            return x, shape
        scales = self.sketch.constant([1, 1, 2, 2], "float32")
        mode = self._pick({"mode": "nearest"}, {"mode": "linear"})
        place = self._pick("asymmetric", "half_pixel", "align_corners")
        made = self.sketch.add("Resize", x, "", scales, coordinate_transformation_mode=place, **mode)
        return made, (*shape[:2], 2 * shape[2], 2 * shape[3])

    def _concat(self, x, shape):
        other, found = self._pick(*[pair for pair in self.made if pair[1][2:] == shape[2:]])
        return self.sketch.add("Concat", x, other, axis=1), (1, shape[1] + found[1], *shape[2:])

    def _mean(self, x, shape):
        return self.sketch.add("GlobalAveragePool", x), (*shape[:2], 1, 1)


def verdict(seed: int) -> str:
    """`right`, `refused` or `rejected` (by ONNX Runtime). Anything wrong fails the test with its seed."""
    fuzz = Fuzz(seed)
    try:
        program = prepare(fuzz.model, "fuzz")
    except ModelError as error:
        for op in fuzz.unknown & {node.op_type for node in fuzz.sketch.nodes}:
            # An operator that no output depends on need not be named.
            assert op in str(error) or len(fuzz.made) > 2, f"{seed}: {op} is not named: {error}"
        return "refused"
    feeds = feeds_of(program, seed)
    ours, theirs = run(program, feeds), on_ort(fuzz.model, feeds)
    assert ours.keys() == theirs.keys(), seed
    for name, wanted in theirs.items():
        found = ours[name]
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype), seed
        size = float(np.abs(wanted).max()) + 1e-3
        off = np.abs(found.astype(np.float64) - wanted)
        # Codes at a rounding edge may move by one; a wrong answer is wrong almost everywhere.
        limits = (0.05, 0.005) if fuzz.quantized else (1e-4, 1e-4)
        moved = 0.06 * 3 if fuzz.quantized else 0.0
        assert off.max() <= limits[0] * size + moved, f"{seed}: off by {off.max()} of {size}"
        assert off.mean() <= limits[1] * size + moved / 20, f"{seed}: on average off by {off.mean()} of {size}"
    return "right"


def test_random_graphs_are_refused_or_right() -> None:
    found = Counter(verdict(seed) for seed in range(GRAPHS))
    assert found["right"] > GRAPHS / 2, found
    assert found["refused"] > GRAPHS / 50, found
