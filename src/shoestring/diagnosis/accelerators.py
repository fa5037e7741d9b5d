"""Which operators an 8-bit engine or accelerator takes: engines from accelerators.toml, makers' lists of chips."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources

from shoestring.base import canonical
from shoestring.base.errors import UsageError
from shoestring.chips.operators import operator_set

PUBLISHED = ("edge-tpu",)
"""Lists of `chips.operators` that --target takes."""


@dataclass(frozen=True)
class Accelerator:
    """One row of accelerators.toml, or a published list.

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
    """Every row in the order of the file, then the published lists."""
    text = resources.files(__package__).joinpath("accelerators.toml").read_text(encoding="utf-8")
    return (*canonical.convert(tomllib.loads(text), _File, UsageError).accelerator, *map(_published, PUBLISHED))


def _published(name: str) -> Accelerator:
    found = operator_set(name)
    return Accelerator(
        found.name, found.title, found.operators, found.absorbed, found.outside, source=found.source.source
    )


def accelerator_named(name: str) -> Accelerator:
    """The row called `name`; its callers know that it is there."""
    return next(row for row in accelerators() if row.name == name)
