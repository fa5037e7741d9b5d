"""What measures candidates on another machine, as `fit` sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shoestring.costmodel.measure import Measured
    from shoestring.domain.cost import Cost, Machine


class Meter(Protocol):
    """Measures model files on a machine that is not this one.

    Attributes:
        place: where, as its user names it.
        machine: what it is.
        versions: of every runtime that is installed there.
    """

    @property
    def place(self) -> str: ...

    @property
    def machine(self) -> Machine: ...

    @property
    def versions(self) -> Mapping[str, str]: ...

    def measure(
        self,
        artefacts: Sequence[Measured],
        reference: str,
        threads: Sequence[int],
        *,
        seconds_each: float,
        progress: Callable[[str], None],
    ) -> dict[str, Cost]:
        """As `costmodel.measure.measure`, there.

        Raises:
            ShoestringError: what measuring raised there, or why there cannot be reached.
        """
        ...


__all__ = ["Meter"]
