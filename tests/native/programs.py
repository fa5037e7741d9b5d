"""A factory of random small programs: what every target is swept with.

`make(kind, rng)` gives a program of one operator, `network(rng)` a small graph, `feeds(program, rng)` inputs for
either. Everything follows from the generator, so a seed names a case for good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from native import program_single as single
from native.program_builder import CHANNELS, Builder, Rng, Shape, pick
from native.program_network import build_network
from shoestring.native.form import Array, Program

_MAKERS: dict[str, Callable[[Builder], Program]] = {}
for _kind in ("i8", "f32", "i8_f32"):
    for _shape in ("dense", "pointwise", "depthwise", "grouped", "dilated"):
        _MAKERS[f"conv_{_shape}_{_kind}"] = lambda b, s=_shape, k=_kind: single.conv(b, s, k)
    _MAKERS[f"linear_{_kind}"] = lambda b, k=_kind: single.linear(b, k)
    _MAKERS[f"matmul_{_kind}"] = lambda b, k=_kind: single.matmul(b, k)
for _kind in ("i8", "f32"):
    for _name in ("add", "sub", "mul", "div")[: 3 if _kind == "i8" else 4]:
        _MAKERS[f"{_name}_{_kind}"] = lambda b, n=_name, k=_kind: single.binary(b, n, k)
        _MAKERS[f"{_name}_constant_{_kind}"] = lambda b, n=_name, k=_kind: single.binary_constant(b, n, k)
    for _name in ("max", "average"):
        _MAKERS[f"pool_{_name}_{_kind}"] = lambda b, n=_name, k=_kind: single.pool(b, n, k)
    for _name in ("nearest", "bilinear"):
        _MAKERS[f"resize_{_name}_{_kind}"] = lambda b, n=_name, k=_kind: single.resize(b, n, k)
    for _name in ("mean", "concat", "slice", "pad", "transpose", "reshape"):
        _MAKERS[f"{_name}_{_kind}"] = lambda b, n=_name, k=_kind: getattr(single, n)(b, k)
for _name in single.UNARY:
    _MAKERS[f"unary_{_name}"] = lambda b, n=_name: single.unary(b, n)
for _name in ("table", "softmax", "quantize", "dequantize"):
    _MAKERS[_name] = getattr(single, _name)

KINDS: tuple[str, ...] = tuple(_MAKERS)
"""What `make` can be asked for: operator, variant, kind of its input (and of its output where that differs)."""

__all__ = ["CHANNELS", "KINDS", "Rng", "Shape", "feeds", "make", "network", "single_op_programs"]


def make(kind: str, rng: Rng) -> Program:
    """A program of one operator.

    Args:
        kind: one of KINDS.
        rng: all shapes, weights and parameters come from it.
    """
    return _MAKERS[kind](Builder(rng, f"p_{kind}"))


def single_op_programs(seed: int) -> Iterator[Program]:
    """One program of every kind, in the order of KINDS; each kind has a generator of its own."""
    for index, kind in enumerate(KINDS):
        yield make(kind, np.random.default_rng((seed, index)))


def network(rng: Rng) -> Program:
    """A small graph of 5 to 12 operators: residual, squeeze-excite and inverted-residual blocks, pools, a head."""
    return build_network(Builder(rng, "p_network"))


def feeds(program: Program, rng: Rng, *, special: bool = False) -> dict[str, Array]:
    """Random inputs by port name, in the ports' data types.

    Args:
        program: whose inputs.
        rng: the source.
        special: sprinkle infinities, NaN, subnormals and huge numbers over float inputs. Without it they are finite,
            of many magnitudes, with zeros of both signs.
    """
    return {port.name: _feed(rng, program.values[port.value].shape, port.dtype, special) for port in program.inputs}


def _feed(rng: Rng, shape: Shape, dtype: str, special: bool) -> Array:
    if dtype != "float32":
        codes = rng.integers(0, 256, shape)
        style = rng.integers(4)
        if style == 0:
            codes = np.where(rng.random(shape) < 0.5, codes, pick(rng, (0, 255)))
        elif style == 1:
            codes = np.full(shape, pick(rng, (0, 255, 128)))
        return codes.astype(np.uint8) if dtype == "uint8" else (codes - 128).astype(np.int8)
    x = rng.normal(size=shape) * 10.0 ** rng.uniform(-2, 1.5)
    x = np.where(rng.random(shape) < 0.1, rng.choice([0.0, -0.0], shape), x)
    if special:
        odd = (np.inf, -np.inf, np.nan, 1e-45, -1e-40, 1.2e-38, 3.4e38, -3.4e38)
        x = np.where(rng.random(shape) < 0.1, rng.choice(odd, shape), x)
    return x.astype(np.float32)
