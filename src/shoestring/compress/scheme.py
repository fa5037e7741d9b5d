"""The 8-bit types that suit an instruction set, read from schemes.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from importlib import resources

from shoestring.base import canonical
from shoestring.base.errors import UsageError


@dataclass(frozen=True)
class Scheme:
    """One row of schemes.toml.

    Args:
        name: as recipes name it.
        any_isa: instruction sets of which one must be there; empty means any machine.
        activation: numpy type of activations.
        weight_bits: 8, 7 where products would saturate, or fewer.
        why: one sentence.
        by_recipe: never chosen for a machine, only where a recipe names it.
    """

    name: str
    any_isa: tuple[str, ...]
    activation: str
    weight_bits: int
    why: str
    by_recipe: bool = False

    @property
    def activation_limits(self) -> tuple[int, int]:
        return (0, 255) if self.activation == "uint8" else (-128, 127)

    @property
    def weight_limit(self) -> int:
        """Largest magnitude of a weight: 127, 63 or 7, symmetric."""
        return (1 << (self.weight_bits - 1)) - 1


def schemes() -> tuple[Scheme, ...]:
    """Every known scheme, most specific first."""
    text = resources.files(__package__).joinpath("schemes.toml").read_text()
    return tuple(canonical.convert(row, Scheme, UsageError) for row in tomllib.loads(text)["scheme"])


def scheme_for(isa: Collection[str]) -> Scheme:
    """The scheme for a machine with these instruction sets."""
    return next(row for row in schemes() if not row.by_recipe and (not row.any_isa or set(row.any_isa) & set(isa)))


def scheme_named(name: str) -> Scheme:
    """The scheme called `name`. Raises UsageError."""
    for row in schemes():
        if row.name == name:
            return row
    raise UsageError(f"no 8-bit scheme {name!r}", hint=f"known: {', '.join(row.name for row in schemes())}")
