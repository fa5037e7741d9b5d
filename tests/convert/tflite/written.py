"""Programs as TFLite files on LiteRT, beside our interpreter."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from shoestring.convert.tflite.converting import write
from shoestring.convert.tflite.reading import Read
from shoestring.convert.tflite.rewrite import rewritten
from shoestring.native.form import Array, Conv, Linear, Program
from shoestring.runtimes.litert import LiteRtRuntime

F = np.float32


def weight_scales(program: Program) -> dict[str, Array]:
    """Scales of random 8-bit weights: those that give the program's multipliers, found among their neighbours."""
    found = {}
    for op in program.ops:
        if isinstance(op, Conv | Linear) and op.multiplier is not None:
            found[op.name] = _scales(program, op)
    return found


def _scales(program: Program, op: Conv | Linear) -> Array:
    source, result = program.values[op.inputs[0]], program.values[op.output]
    divisor = F(result.scale) if result.kind == "i8" else F(1)
    guess = np.asarray(op.multiplier * divisor / F(source.scale), dtype=F)
    near = [guess]
    for way in (F(0), F(np.inf)):
        at = guess
        for _ in range(4):
            at = np.nextafter(at, way)
            near.append(at)
    best = guess.copy()
    for one in near:
        hit = np.asarray(F(source.scale) * one, dtype=F) / divisor == op.multiplier
        best = np.where(hit, one, best)
    return best


def on_litert(program: Program, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Answers of the program's TFLite file."""
    with LiteRtRuntime().load(write(Read(rewritten(program), weight_scales(program))).data, 1) as session:
        return session.run(feeds)
