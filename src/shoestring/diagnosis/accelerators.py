"""Which operators an 8-bit engine or accelerator takes, read from accelerators.toml."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources

from shoestring.base import canonical
from shoestring.base.errors import UsageError


@dataclass(frozen=True)
class Accelerator:
    """One row of accelerators.toml.

    Args:
        name: as --target takes it.
        title: for people.
        operators: ONNX operators that it runs on 8-bit codes.
        absorbed: ONNX operators that vanish into a neighbour.
        outside: what happens to any other operator, in words.
        source: where the list comes from.
    """

    name: str
    title: str
    operators: tuple[str, ...]
    absorbed: tuple[str, ...]
    outside: str
    source: str

    @property
    def takes(self) -> frozenset[str]:
        return frozenset((*self.operators, *self.absorbed, "QuantizeLinear", "DequantizeLinear"))


@dataclass(frozen=True)
class _File:
    accelerator: tuple[Accelerator, ...]


@functools.cache
def accelerators() -> tuple[Accelerator, ...]:
    """Every row, in the order of the file."""
    text = resources.files(__package__).joinpath("accelerators.toml").read_text(encoding="utf-8")
    return canonical.convert(tomllib.loads(text), _File, UsageError).accelerator


def accelerator_named(name: str) -> Accelerator:
    """The row called `name`; its callers know that it is there."""
    return next(row for row in accelerators() if row.name == name)
