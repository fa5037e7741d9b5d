"""A model that writes, behind the server: what is served, by whom, and what the page shows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import EngineFaultError, ShoestringError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.device.language.garage import Garage
    from shoestring.device.language.jobs import Chooser
    from shoestring.device.language.nouns import Rungs
    from shoestring.device.serve.live import LiveState
    from shoestring.device.serve.written import Tokens
    from shoestring.domain.text import TokenCascade


@dataclass(frozen=True)
class WriterService:
    """One bundle that writes.

    Args:
        name: that clients call it by.
        rungs: of the bundle that may run.
        garage: of loaded rungs.
        chooser: picks the rung of each answer.
        live: what the live page shows.
        written: tokens that were read and written, for page and figures.
        slots: answers at a time.
        cascade: of the bundle; None: none.
        ready: whether it can answer now; None: always.
    """

    name: str
    rungs: Rungs
    garage: Garage
    chooser: Chooser
    live: LiveState
    written: Tokens
    slots: int = 1
    cascade: TokenCascade | None = None
    ready: Callable[[], bool] | None = None

    def ended(self, error: ShoestringError | None) -> None:
        """Show on the page what broke an answer, or that it is well again."""
        if error is None:
            self.live.trouble("engine", None)
        elif isinstance(error, EngineFaultError):
            self.live.trouble("engine", error.message)


__all__ = ["WriterService"]
