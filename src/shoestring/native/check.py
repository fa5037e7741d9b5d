"""Whether a program obeys the form: what the front must ensure, every pass must keep and every target may rely on."""

from __future__ import annotations

import math
import re

import numpy as np

from shoestring.native.check_arithmetic import check_arithmetic
from shoestring.native.check_kinds import check_kinds
from shoestring.native.check_shapes import check_shapes
from shoestring.native.check_words import Place, fail, require
from shoestring.native.form import Port, Program, Value

MAX_COUNT = (1 << 31) - 1
"""Elements of one value: targets index with int32."""

_DTYPES = {"f32": ("float32",), "i8": ("uint8", "int8")}


def check(program: Program) -> None:
    """Refuse a program that breaks a rule of the form.

    The rules, in the order they are looked at:

    1. names are unique and C can use the program's; scales, zero points, shapes and ports are in their ranges;
    2. every value is an input or made once, before it is read, and every output is made;
    3. every operator has the inputs, kinds and weight dtypes that the form gives it;
    4. shapes follow from the operator; image sides are at most 32767 and counts below 2**31;
    5. no int32 sum can overflow, multipliers are finite and above zero, and a requantized sum stays below 2**30.

    Raises:
        ModelError: with the operator, the value and the limit.
    """
    _check_values(program)
    _check_ports(program)
    _check_order(program)
    for op in program.ops:
        inputs = tuple(program.values[name] for name in op.inputs)
        place = Place(op, inputs, program.values[op.output])
        check_kinds(place)
        check_shapes(place)
        check_arithmetic(place)


def _check_values(program: Program) -> None:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", program.name, re.ASCII):
        fail(f"the program's name {program.name!r} is not a C identifier")
    for name, value in program.values.items():
        require(name == value.name, f"value {value.name!r} is listed under the name {name!r}")
        _check_value(value)


def _check_value(value: Value) -> None:
    for n in value.shape:
        require(isinstance(n, int) and n >= 1, f"value {value.name!r} has the shape {value.shape}; sides are 1 or more")
    # Python integers: a product of large sides must not wrap around.
    count = math.prod(value.shape)
    require(count <= MAX_COUNT, f"value {value.name!r} has {count} elements; the limit is {MAX_COUNT}")
    if value.kind == "f32":
        plain = value.scale == 1.0 and value.zero == 0
        require(
            plain, f"float value {value.name!r} has scale {value.scale}, zero point {value.zero}; it must have 1, 0"
        )
        return
    require(value.kind == "i8", f"value {value.name!r} is of the kind {value.kind!r}; kinds are i8 and f32")
    info, name = np.finfo(np.float32), value.name
    # A normal float32, and 255 steps of it are finite.
    sane = float(info.tiny) <= value.scale <= float(info.max) / 256
    require(sane, f"value {name!r} has the scale {value.scale}; it must be a normal float32 above zero")
    sane = isinstance(value.zero, int) and 0 <= value.zero <= 255
    require(sane, f"value {name!r} has the zero point {value.zero}; it must be in 0..255")


def _check_ports(program: Program) -> None:
    require(bool(program.outputs), "the program has no output")
    for side in (program.inputs, program.outputs):
        names = [port.name for port in side]
        for name in names:
            require(names.count(name) == 1, f"two ports on one side have the name {name!r}")
        for port in side:
            _check_port(program, port)
    held = [port.value for port in program.inputs]
    for name in held:
        require(held.count(name) == 1, f"two inputs fill the value {name!r}")


def _check_port(program: Program, port: Port) -> None:
    value = program.values.get(port.value)
    if value is None:
        fail(f"port {port.name!r} holds the value {port.value!r}, which the program does not have")
    allowed = _DTYPES[value.kind]
    require(port.dtype in allowed, f"port {port.name!r} is {port.dtype}; a value of kind {value.kind} takes {allowed}")


def _check_order(program: Program) -> None:
    made = {port.value for port in program.inputs}
    for op in program.ops:
        for name in op.inputs:
            require(name in made, f"operator {op.name!r} reads {name!r} before it is made")
        require(op.output in program.values, f"operator {op.name!r} makes {op.output!r}, which has no description")
        require(op.output not in made, f"operator {op.name!r} makes {op.output!r} a second time")
        made.add(op.output)
    for name in program.values:
        require(name in made, f"value {name!r} is never made")
