"""What an accelerator of a chip asks of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.chips.operators import OperatorSet, operator_set
from shoestring.legalise.rules import broken

if TYPE_CHECKING:
    from shoestring.domain.chip import Accelerator, Chip
    from shoestring.legalise.site import Site

BETWEEN = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True)
class Target:
    """One engine of one chip.

    Args:
        chip: that holds it, or hangs on it.
        accelerator: the engine.
        takes: operators and their limits.
        no_codes: why it does not compute on 8-bit codes; None where it does.
    """

    chip: Chip
    accelerator: Accelerator
    takes: OperatorSet
    no_codes: str | None

    @property
    def engine(self) -> str:
        return self.accelerator.engine

    @property
    def weight_bytes(self) -> int:
        """Bytes that a weight takes there: one where it computes on 8-bit codes, two in fp16."""
        return 2 if self.no_codes is not None or self.takes.name.startswith("tensorrt") else 1

    def why_not(self, site: Site) -> str | None:
        """Why a node cannot run there, in words; None where it can."""
        node = site.node
        name = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
        if name in BETWEEN and (self.no_codes is not None or name not in self.takes.takes):
            return self.no_codes
        if name not in self.takes.takes:
            return f"{self.takes.title} has no {name}"
        limit = broken(site, self.takes.limits_of(name))
        return None if limit is None else f"{name} asks for {limit.words}"


def target_of(chip: Chip) -> Target | None:
    """The first accelerator of a chip that publishes what it runs; None where there is none."""
    for one in chip.accelerators:
        if one.operators:
            return Target(chip, one, _takes(one), _no_codes(chip, one.engine))
    return None


def asked_target(chip: Chip) -> Target:
    """As `target_of`.

    Raises:
        UsageError: nothing on the chip publishes a list of operators.
    """
    found = target_of(chip)
    if found is None:
        raise UsageError(
            f"{chip.name} has no accelerator whose operators are published: there is nothing to hold a model to",
            hint="shoestring fit --chip makes models for its processor",
        )
    return found


def _takes(one: Accelerator) -> OperatorSet:
    if one.listed is not None:
        return operator_set(one.listed)
    return OperatorSet("", one.title, one.operators, (), one.outside, one.source)


def _no_codes(chip: Chip, engine: str) -> str | None:
    for one in chip.precisions:
        if one.engine == engine and one.precision == "int8" and not one.worth:
            return one.why.value
    return None
