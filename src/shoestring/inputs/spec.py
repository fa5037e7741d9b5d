"""The pre-processing specification as a TOML file and as a line of words."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from shoestring.base.canonical import convert
from shoestring.base.errors import DataError
from shoestring.base.toml import read_toml
from shoestring.domain.preprocess import Preprocess

if TYPE_CHECKING:
    from pathlib import Path

MAX_SPEC_BYTES = 64 * 1024  # a full specification takes 300 bytes; the rest is room for comments


def load_preprocess(path: Path) -> Preprocess:
    """Read a `preprocess.toml`.

    Args:
        path: a TOML file whose keys are the fields of Preprocess; `height` and `width` must be there.

    Raises:
        DataError: it cannot be read, is not TOML, has an unknown key or a value of the wrong type, or breaks rules of
            Preprocess; the message then holds every one of them.
    """
    hint = "the keys are: " + ", ".join(field.name for field in dataclasses.fields(Preprocess))

    def error(message: str) -> DataError:
        return DataError(f"pre-processing {path}: {message}", hint=hint)

    spec = convert(read_toml(path, MAX_SPEC_BYTES, error), Preprocess, error)
    problems = spec.problems()
    if problems:
        raise error("; ".join(problems))
    return spec


def check_preprocess(spec: Preprocess) -> None:
    """Raise DataError with every rule of Preprocess that `spec` breaks; nothing when it is sound."""
    problems = spec.problems()
    if problems:
        raise DataError(f"pre-processing: {'; '.join(problems)}", hint="mend the specification and start again")


def dump_preprocess(spec: Preprocess) -> str:
    """TOML text from which `load_preprocess` gives an equal specification. A field that is None is left out."""
    lines = []
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if isinstance(value, str):
            lines.append(f"{field.name} = {json.dumps(value)}")
        elif isinstance(value, tuple):
            lines.append(f"{field.name} = [{', '.join(repr(float(number)) for number in value)}]")
        elif isinstance(value, float):
            lines.append(f"{field.name} = {float(value)!r}")
        elif value is not None:
            lines.append(f"{field.name} = {int(value)}")
    return "\n".join(lines) + "\n"


def describe(spec: Preprocess) -> str:
    """One line for people: `224x224 rgb, shorter side to 256 (bilinear) and centre crop, x/255, nchw float32`."""
    if spec.resize == "none":
        geometry = "not resized"
    elif spec.resize == "stretch":
        geometry = f"stretched ({spec.filter})"
    elif spec.resize == "letterbox":
        geometry = f"whole between grey bars ({spec.filter})"
    else:
        geometry = f"shorter side to {spec.resize_to} ({spec.filter}) and centre crop"
    inverse = round(1 / spec.scale) if 0 < spec.scale < 1 else 0
    if spec.scale == 1:
        values = "x"
    elif inverse and 1 / inverse == spec.scale:
        values = f"x/{inverse}"
    else:
        values = f"x*{spec.scale:g}"
    if any(spec.mean):
        values = f"{values} - {_numbers(spec.mean)}"
    if any(value != 1 for value in spec.std):
        values = f"({values}) / {_numbers(spec.std)}"
    return f"{spec.width}x{spec.height} {spec.colour}, {geometry}, {values}, {spec.layout} {spec.dtype}"


def _numbers(values: tuple[float, ...]) -> str:
    if len(set(values)) == 1:
        return f"{values[0]:g}"
    return "[" + ", ".join(f"{value:g}" for value in values) + "]"
