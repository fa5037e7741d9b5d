"""What every source of frames offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shoestring.device.pipelines.nouns import Frame


@dataclass(frozen=True)
class Stale:
    """A live source gives nothing.

    Args:
        at_s: monotonic clock now, s.
        seconds: since its last frame, or since it was opened.
        reason: what the source says, for people; empty when it says nothing.
    """

    at_s: float
    seconds: float
    reason: str = ""


class Source(Protocol):
    """An iterator over frames. One consumer iterates it, once.

    Attributes:
        live: whether frames come whether somebody takes them or not; older ones are then dropped.
        rate: frames a second as the source says, or None where it does not say.
        dropped: frames so far that nobody took.
    """

    live: bool
    rate: float | None
    dropped: int

    def __iter__(self) -> Iterator[Frame | Stale]:
        """Frames in their order. A live source says Stale in between, the first time a second after its last frame.

        Raises:
            DataError: a file cannot be read or is broken.
        """
        ...

    def close(self) -> None:
        """Give back what the source holds; a second call does nothing."""
        ...
