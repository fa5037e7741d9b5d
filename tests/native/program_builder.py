"""Puts random small programs together, one operator at a time; `native.programs` says which."""

from __future__ import annotations

from typing import Any

import numpy as np

from shoestring.native.form import OPEN, Array, Clamp, Conv, Linear, Op, Port, Program, Value

Shape = tuple[int, ...]
Rng = np.random.Generator

CHANNELS = (1, 3, 8, 16, 17, 24, 40, 64, 100)
ZEROS = (0, 128, 255, 1, 127, 129, 77, 201)


def pick(rng: Rng, items: Any) -> Any:
    """One of the items, as it is (numpy's choice would turn tuples into arrays)."""
    return items[int(rng.integers(len(items)))]


def random_scale(rng: Rng) -> float:
    """A positive scale that float32 holds, 1e-4 to 10."""
    return float(np.float32(10.0 ** rng.uniform(-4, 1)))


def int8_weights(rng: Rng, shape: Shape) -> Array:
    """Uniform, bell-shaped, mostly zero, or extremes only."""
    style = rng.integers(4)
    if style == 0:
        return rng.integers(-128, 128, shape).astype(np.int8)
    if style == 1:
        return np.clip(np.rint(rng.normal(0, 30, shape)), -127, 127).astype(np.int8)
    if style == 2:
        return (rng.integers(-127, 128, shape) * (rng.random(shape) < 0.2)).astype(np.int8)
    return rng.choice(np.array([-128, -127, 127]), shape).astype(np.int8)


def float_weights(rng: Rng, shape: Shape) -> Array:
    """Bell-shaped, of any magnitude from 1e-3 to 10."""
    return (rng.normal(size=shape) * 10.0 ** rng.uniform(-3, 1)).astype(np.float32)


def multipliers(rng: Rng, weight: Array) -> Array:
    """One per output channel: sums of random codes come out with a standard deviation of 0.5 to 300 codes."""
    spread = np.sqrt(np.square(weight.astype(np.float64)).reshape(len(weight), -1).sum(axis=1)) * 74 + 1
    return np.asarray(10.0 ** rng.uniform(-0.3, 2.5, len(weight)) / spread, dtype=np.float32)


def code_clamp(rng: Rng, zero: int) -> Clamp:
    """Open, a ReLU, a ReLU6 or any two codes."""
    low, high = sorted(int(code) for code in rng.integers(0, 256, 2))
    return pick(rng, (OPEN, OPEN, Clamp(low=zero), Clamp(zero, max(zero, 240)), Clamp(low, high), Clamp(high=high)))


def real_clamp(rng: Rng) -> Clamp:
    """Open, a ReLU, a ReLU6 or any two reals."""
    return pick(rng, (OPEN, OPEN, Clamp(low=0.0), Clamp(0.0, 6.0), Clamp(-0.37, 1.91), Clamp(high=0.5)))


class Builder:
    """A program under construction.

    Args:
        rng: every choice comes from it.
        name: of the program, a C identifier.
    """

    def __init__(self, rng: Rng, name: str) -> None:
        self.rng = rng
        self.name = name
        self.values: dict[str, Value] = {}
        self.ops: list[Op] = []
        self.inputs: list[Port] = []

    def value(self, shape: Shape, kind: str, scale: float | None = None, zero: int | None = None) -> Value:
        """A new value; scale and zero point are random where they are not given."""
        name = f"v{len(self.values)}"
        if kind == "f32":
            made = Value(name, shape, "f32")
        else:
            scale = random_scale(self.rng) if scale is None else scale
            made = Value(name, shape, "i8", scale, int(pick(self.rng, ZEROS)) if zero is None else zero)
        self.values[name] = made
        return made

    def like(self, value: Value, shape: Shape) -> Value:
        """A new value of the same kind, scale and zero point."""
        return self.value(shape, value.kind, value.scale, value.zero)

    def input(self, shape: Shape, kind: str, scale: float | None = None, zero: int | None = None) -> Value:
        """A new value with an input port; i8 ones are uint8 or int8 outside."""
        made = self.value(shape, kind, scale, zero)
        self.inputs.append(Port(f"input{len(self.inputs)}", made.name, self._dtype(made)))
        return made

    def add(self, op_type: type[Op], inputs: tuple[Value, ...], output: Value, **fields: Any) -> Value:
        """Append an operator; gives its output."""
        self.ops.append(op_type(f"n{len(self.ops)}", tuple(v.name for v in inputs), output.name, **fields))
        return output

    def program(self, *outputs: Value) -> Program:
        """The finished program."""
        ports = tuple(Port(f"output{i}", v.name, self._dtype(v)) for i, v in enumerate(outputs))
        return Program(self.name, self.values, tuple(self.ops), tuple(self.inputs), ports, "0" * 64)

    def conv(
        self,
        x: Value,
        out: int,
        kernel: tuple[int, int],
        kind: str,
        *,
        strides: tuple[int, int] = (1, 1),
        pads: tuple[int, int, int, int] | None = None,
        dilations: tuple[int, int] = (1, 1),
        groups: int = 1,
        clamp: Clamp | None = None,
    ) -> Value:
        """A convolution of x with random weights; `pads` None keeps the size at stride 1."""
        reach = tuple((k - 1) * d for k, d in zip(kernel, dilations, strict=True))
        if pads is None:
            pads = (reach[0] // 2, reach[1] // 2, reach[0] - reach[0] // 2, reach[1] - reach[1] // 2)
        _, channels, height, width = x.shape
        rows = (height + pads[0] + pads[2] - reach[0] - 1) // strides[0] + 1
        columns = (width + pads[1] + pads[3] - reach[1] - 1) // strides[1] + 1
        y = self.value((1, out, rows, columns), kind)
        fields = self._weighted(x, y, (out, channels // groups, *kernel), clamp)
        return self.add(Conv, (x,), y, strides=strides, pads=pads, dilations=dilations, groups=groups, **fields)

    def linear(self, x: Value, out: int, kind: str, clamp: Clamp | None = None) -> Value:
        """A fully connected layer over the last axis."""
        y = self.value((*x.shape[:-1], out), kind)
        return self.add(Linear, (x,), y, **self._weighted(x, y, (out, x.shape[-1]), clamp))

    def _weighted(self, x: Value, y: Value, shape: Shape, clamp: Clamp | None) -> dict[str, Any]:
        """Weights, bias, multiplier and clamp for a convolution or a Linear."""
        if clamp is None:
            clamp = code_clamp(self.rng, y.zero) if y.kind == "i8" else real_clamp(self.rng)
        if x.kind == "f32":
            weight, bias = float_weights(self.rng, shape), float_weights(self.rng, shape[:1])
            return {"weight": weight, "bias": bias, "multiplier": None, "clamp": clamp}
        weight = int8_weights(self.rng, shape)
        bias = np.rint(self.rng.normal(size=shape[0]) * 10.0 ** self.rng.uniform(0, 4.5)).astype(np.int32)
        return {"weight": weight, "bias": bias, "multiplier": multipliers(self.rng, weight), "clamp": clamp}

    def _dtype(self, value: Value) -> str:
        return "float32" if value.kind == "f32" else str(pick(self.rng, ("uint8", "int8")))
