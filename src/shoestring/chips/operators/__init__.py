"""Operator lists that makers of accelerators publish, one file a list: their one home, for chips and for the doctor."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources

from shoestring.base import canonical
from shoestring.base.errors import UsageError
from shoestring.domain.chip import Fact


@dataclass(frozen=True)
class OperatorSet:
    """What an accelerator runs, by ONNX's names.

    Args:
        name: of the file.
        title: for people.
        operators: ONNX operators that it runs.
        absorbed: ONNX operators that vanish into a neighbour.
        outside: what happens to any other operator, in words.
        source: where the list comes from; its value says how the names were translated.
    """

    name: str
    title: str
    operators: tuple[str, ...]
    absorbed: tuple[str, ...]
    outside: str
    source: Fact


def operator_sets() -> tuple[str, ...]:
    """Names of the lists there are, sorted."""
    files = resources.files(__package__).iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


@functools.cache
def operator_set(name: str) -> OperatorSet:
    """The list called `name`.

    Raises:
        UsageError: there is no such list.
    """
    if name not in operator_sets():
        raise UsageError(
            f"operators {name!r} is no published list", hint=f"one of {', '.join(operator_sets())}, or a list of names"
        )
    text = resources.files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return canonical.convert(tomllib.loads(text), OperatorSet, UsageError)


__all__ = ["OperatorSet", "operator_set", "operator_sets"]
