"""One output element of one operator, straight from the words of the form: Python integers, fractions, plain loops.

Slow and without numpy's arithmetic, except for single float32 operations. The interpreter is compared with it.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np

from shoestring.native import functions
from shoestring.native.form import (
    Array,
    Binary,
    Clamp,
    Concat,
    Conv,
    Dequantize,
    Linear,
    MatMul,
    Mean,
    Op,
    Pad,
    Pool,
    Program,
    Quantize,
    Reshape,
    Resize,
    Slice,
    Softmax,
    Table,
    Transpose,
    Unary,
    Value,
)

F = np.float32
Index = tuple[int, ...]


def nearest_float32(x: Fraction) -> np.float32:
    """Rounded to nearest, ties to even, with subnormals and overflow to infinity. An exact zero is +0.0."""
    if x == 0:
        return F(0.0)
    exponent = math.floor(math.log2(abs(x.numerator)) - math.log2(x.denominator))
    while Fraction(2) ** exponent > abs(x):
        exponent -= 1
    while Fraction(2) ** (exponent + 1) <= abs(x):
        exponent += 1
    quantum = Fraction(2) ** (max(exponent, -126) - 23)
    rounded = round(x / quantum) * quantum
    if abs(rounded) >= Fraction(2) ** 128:
        return F(math.copysign(math.inf, x))
    return F(math.copysign(float(abs(rounded)), x))


def fma(a: np.float32, b: np.float32, c: np.float32) -> np.float32:
    """a * b + c of finite numbers, rounded once."""
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    return nearest_float32(exact) if exact != 0 else F(F(a * b) + c)


def step(a: np.float32, b: np.float32, c: np.float32, fused: bool) -> np.float32:
    return fma(a, b, c) if fused else F(F(a * b) + c)


def code(real: np.float32, zero: int, clamp: Clamp) -> int:
    low = 0 if clamp.low is None else int(clamp.low)
    high = 255 if clamp.high is None else int(clamp.high)
    if math.isnan(real):
        return 0
    if math.isinf(real):
        return high if real > 0 else low
    # Python rounds halves to even.
    return min(max(round(float(real)) + zero, low), high)


def held(real: np.float32, clamp: Clamp) -> np.float32:
    if clamp.low is None and clamp.high is None:
        return real
    low, high = F(-np.inf if clamp.low is None else clamp.low), F(np.inf if clamp.high is None else clamp.high)
    real = real if real > low else low
    return real if real < high else high


def finish(total: int, multiplier: np.float32, output: Value, clamp: Clamp) -> int | np.float32:
    real = F(F(total) * multiplier)
    return held(real, clamp) if output.kind == "f32" else code(real, output.zero, clamp)


def element(program: Program, op: Op, values: dict[str, Array], at: Index, fused: bool) -> int | np.float32:
    """The element `at` of the operator's output, from the values of its inputs."""
    of = [program.values[name] for name in op.inputs]
    x = [values[name] for name in op.inputs]
    return RULES[type(op)](op, x, of, program.values[op.output], at, fused)


def _conv(op: Conv, x, of, out, at, fused):
    _, o, oy, ox = at
    group = o // (len(op.bias) // op.groups)
    total = int(op.bias[o]) if op.multiplier is not None else op.bias[o]
    for ky, kx, c in itertools.product(*(range(n) for n in (*op.weight.shape[2:], op.weight.shape[1]))):
        y = oy * op.strides[0] - op.pads[0] + ky * op.dilations[0]
        z = ox * op.strides[1] - op.pads[1] + kx * op.dilations[1]
        inside = 0 <= y < of[0].shape[2] and 0 <= z < of[0].shape[3]
        met = x[0][0, group * op.weight.shape[1] + c, y, z] if inside else None
        if op.multiplier is None:
            total = step(op.weight[o, c, ky, kx], F(0.0) if met is None else met, total, fused)
        elif met is not None:
            total += int(op.weight[o, c, ky, kx]) * (int(met) - of[0].zero)
    return held(total, op.clamp) if op.multiplier is None else finish(total, op.multiplier[o], out, op.clamp)


def _linear(op: Linear, x, of, out, at, fused):
    row = x[0][at[:-1]]
    if op.multiplier is None:
        total = op.bias[at[-1]]
        for w, v in zip(op.weight[at[-1]], row, strict=True):
            total = step(w, v, total, fused)
        return held(total, op.clamp)
    total = int(op.bias[at[-1]])
    total += sum(int(w) * (int(v) - of[0].zero) for w, v in zip(op.weight[at[-1]], row, strict=True))
    return finish(total, op.multiplier[at[-1]], out, op.clamp)


def _matmul(op: MatMul, x, of, out, at, fused):
    a, b = (np.broadcast_to(v, (*out.shape[:-2], *v.shape[-2:])) for v in x)
    pairs = [(a[(*at[:-1], k)], b[(*at[:-2], k, at[-1])]) for k in range(a.shape[-1])]
    if op.multiplier is None:
        total = F(0.0)
        for u, v in pairs:
            total = step(u, v, total, fused)
        return total
    total = sum((int(u) - of[0].zero) * (int(v) - of[1].zero) for u, v in pairs)
    return finish(total, F(op.multiplier), out, Clamp())


def _binary(op: Binary, x, of, out, at, fused):
    sides = [(np.broadcast_to(v, out.shape)[at], value.scale, value.zero) for v, value in zip(x, of, strict=True)]
    if op.constant is not None:
        constant = (np.broadcast_to(op.constant, out.shape)[at], op.constant_scale, op.constant_zero)
        sides = [constant, *sides] if op.swapped else [*sides, constant]
    (a, sa, za), (b, sb, zb) = sides
    if out.kind == "f32":
        return held({"add": a + b, "sub": a - b, "mul": a * b, "div": a / b}[op.kind], op.clamp)
    u, v = int(a) - za, int(b) - zb
    if op.kind == "mul":
        return code(F(F(u * v) * F(float(F(sa * sb)) / out.scale)), out.zero, op.clamp)
    first, second = F(F(u) * F(sa / out.scale)), F(F(v) * F(sb / out.scale))
    return code(F(first + second) if op.kind == "add" else F(first - second), out.zero, op.clamp)


def _pool(op: Pool, x, of, out, at, fused):
    _, c, oy, ox = at
    height, width = of[0].shape[2:]
    met, padded = [], 0
    for ky, kx in itertools.product(range(op.kernel[0]), range(op.kernel[1])):
        y, z = oy * op.strides[0] - op.pads[0] + ky, ox * op.strides[1] - op.pads[1] + kx
        padded += y < height + op.pads[2] and z < width + op.pads[3]
        if 0 <= y < height and 0 <= z < width:
            met.append(x[0][0, c, y, z])
    if op.function == "max":
        best = met[0]
        for v in met[1:]:
            best = v if v > best else best
        return best
    return _average(met, padded if op.count_pads else len(met), of[0], out)


def _average(met, count, source, out):
    if source.kind == "i8":
        total = sum(int(v) - source.zero for v in met)
        return finish(total, F(F(source.scale / out.scale) / F(count)), out, Clamp())
    total = F(0.0)
    for v in met:
        total = F(total + v)
    return F(total / F(count))


def _mean(op: Mean, x, of, out, at, fused):
    met = [v for row in x[0][0, at[1]] for v in row]
    return _average(met, len(met), of[0], out)


def _softmax(op: Softmax, x, of, out, at, fused):
    axis = op.axis % len(at)
    line = [x[0][(*at[:axis], i, *at[axis + 1 :])] for i in range(x[0].shape[axis])]
    largest = line[0]
    for v in line[1:]:
        largest = v if v > largest else largest
    powers = [functions.exp(np.array([v - largest], F))[0] for v in line]
    total = F(0.0)
    for power in powers:
        total = F(total + power)
    return F(powers[at[axis]] / total)


def _resize(op: Resize, x, of, out, at, fused):
    _, c, oy, ox = at
    if op.function == "nearest":
        return x[0][0, c, op.rows[oy], op.columns[ox]]
    corners = [[F(x[0][0, c, y, z]) for z in (op.columns[ox], op.columns2[ox])] for y in (op.rows[oy], op.rows2[oy])]
    cx, cy = F(op.column_part[ox]), F(op.row_part[oy])
    top, bottom = (F(a + F(F(b - a) * cx)) for a, b in corners)
    real = F(top + F(F(bottom - top) * cy))
    return real if out.kind == "f32" else code(real, 0, Clamp())


def _concat(op: Concat, x, of, out, at, fused):
    rest = at[op.axis]
    for v in x:
        if rest < v.shape[op.axis]:
            return v[(*at[: op.axis], rest, *at[op.axis + 1 :])]
        rest -= v.shape[op.axis]
    raise AssertionError("outside every input")


def _pad(op: Pad, x, of, out, at, fused):
    source = tuple(i - before for i, before in zip(at, op.before, strict=True))
    inside = all(0 <= i < n for i, n in zip(source, x[0].shape, strict=True))
    return x[0][source] if inside else x[0].dtype.type(op.value)


def _transpose(op: Transpose, x, of, out, at, fused):
    source = [0] * len(at)
    for to, axis in enumerate(op.axes):
        source[axis] = at[to]
    return x[0][tuple(source)]


RULES = {
    Conv: _conv,
    Linear: _linear,
    MatMul: _matmul,
    Binary: _binary,
    Pool: _pool,
    Mean: _mean,
    Softmax: _softmax,
    Resize: _resize,
    Concat: _concat,
    Pad: _pad,
    Transpose: _transpose,
    Slice: lambda op, x, of, out, at, fused: x[0][
        tuple(s + t * i for s, t, i in zip(op.starts, op.steps, at, strict=True))
    ],
    Reshape: lambda op, x, of, out, at, fused: x[0].ravel()[np.ravel_multi_index(at, out.shape)],
    Quantize: lambda op, x, of, out, at, fused: code(F(x[0][at] / F(out.scale)), out.zero, Clamp()),
    Dequantize: lambda op, x, of, out, at, fused: F(F(int(x[0][at]) - of[0].zero) * F(of[0].scale)),
    Table: lambda op, x, of, out, at, fused: op.table[x[0][at]],
    Unary: lambda op, x, of, out, at, fused: functions.unary(op.function, x[0][at][None], op.a, op.b)[0],
}
