"""What the checks of the form share: an operator in its place, and how a broken rule is reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from shoestring.base.errors import ModelError
from shoestring.native.form import Op, Value


@dataclass(frozen=True, eq=False)
class Place:
    """An operator with the values around it.

    Args:
        op: any operator of the form.
        inputs: what it reads, in its order.
        output: what it makes.
    """

    op: Op
    inputs: tuple[Value, ...]
    output: Value

    def must(self, holds: bool, message: str) -> None:
        """Raise ModelError with the operator's name and the message unless the rule holds."""
        if not holds:
            fail(f"{type(self.op).__name__} {self.op.name!r}: {message}")


def fail(message: str) -> NoReturn:
    """Raises ModelError."""
    raise ModelError(message, hint="the program breaks a rule of the internal form; shoestring.native.check lists them")


def require(holds: bool, message: str) -> None:
    """Raise ModelError with the message unless the rule holds."""
    if not holds:
        fail(message)
