"""Operator lists that makers of accelerators publish, one file a list: their one home, for chips and for the doctor."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass, field
from importlib import resources

from shoestring.base import canonical
from shoestring.base.errors import UsageError
from shoestring.domain.chip import Fact

PARTINGS = ("once", "alone", "refuse")
"""What becomes of a model with an operator outside the list: it and all that follows from it leave the accelerator; it
alone does; or the model is refused."""


@dataclass(frozen=True)
class Limit:
    """A condition on operators that the list otherwise takes.

    Args:
        operators: that it holds for, by ONNX's names; `*` for all.
        rule: which condition, one of `legalise.rules.RULES`.
        words: for people, what is asked for.
        attribute: of the operator that the rule looks at.
        allowed: values of it, or element types.
        number: that the rule compares with.
        inputs: positions that the rule looks at.
        source: where it is published; None: where the list is.
    """

    operators: tuple[str, ...]
    rule: str
    words: str
    attribute: str = ""
    allowed: tuple[str, ...] = ()
    number: int = 0
    inputs: tuple[int, ...] = ()
    source: Fact | None = None


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
        parting: one of PARTINGS.
        opset: highest operator set of ONNX that the list speaks for; None: any.
        doubts: operators that the maker's compiler maps or not by rules that it does not publish, and why.
        limits: conditions on operators.
    """

    name: str
    title: str
    operators: tuple[str, ...]
    absorbed: tuple[str, ...]
    outside: str
    source: Fact
    parting: str = "alone"
    opset: int | None = None
    doubts: dict[str, str] = field(default_factory=dict)
    limits: tuple[Limit, ...] = ()

    @property
    def takes(self) -> frozenset[str]:
        """Every operator that the list has a place for, before its limits."""
        return frozenset((*self.operators, *self.absorbed))

    def limits_of(self, operator: str) -> tuple[Limit, ...]:
        """The conditions that an operator is held to."""
        return tuple(limit for limit in self.limits if operator in limit.operators or "*" in limit.operators)


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


__all__ = ["PARTINGS", "Limit", "OperatorSet", "operator_set", "operator_sets"]
