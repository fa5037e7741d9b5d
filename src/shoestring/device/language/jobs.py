"""One answer in its thread: the governor's rung, a lease on it, its pieces, what the cascade says."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from shoestring.base.errors import DataError, EngineDownError, EngineError, ShoestringError
from shoestring.device.language import cascade as cascades
from shoestring.device.language.garage import CancelledError, Garage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shoestring.device.language.nouns import Answer, Options, Piece, Prompt
    from shoestring.domain.text import TokenCascade

_BROKEN = EngineError("the answer broke off by a defect of the server", hint="start the server again")


class Chooser(Protocol):
    """Picks the rung of each answer, and hears what became of it. Called from the answers' threads."""

    def turn(self, cancelled: Callable[[], bool]) -> str:
        """The rung of the next answer; waits while the board must rest.

        Raises:
            EngineDownError: it must rest for longer than anybody waits.
            CancelledError: nobody wants the answer any more.
        """
        ...

    def wrote(self, rung: str, seconds: float, tokens: int) -> None:
        """So many tokens took so long."""
        ...

    def failed(self, rung: str) -> None:
        """The engine broke while it ran this rung."""
        ...


class Always:
    """A chooser for one rung, whatever the board says."""

    def __init__(self, rung: str) -> None:
        self._rung = rung

    def turn(self, cancelled: Callable[[], bool]) -> str:
        """See `Chooser.turn`."""
        return self._rung

    def wrote(self, rung: str, seconds: float, tokens: int) -> None:
        """Nobody listens."""

    def failed(self, rung: str) -> None:
        """Nobody listens."""


@dataclass(frozen=True)
class Began:
    """An answer begins; it comes before its first piece.

    Args:
        rung: that writes it.
        more: what the cascade decided, for the client.
    """

    rung: str
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """It is over, well or not. Nothing comes after.

    Args:
        error: what broke it; None: nothing, or nobody wanted it.
    """

    error: ShoestringError | None = None


Event = "Began | Piece | Ended"


class Job:
    """One answer.

    Args:
        prompt, options: what to write.
        pinned: the rung to write it; None: the chooser's.
        garage: of loaded rungs.
        chooser: picks the rung.
        cascade: of the bundle, or None.
        emit: told of events in this job's thread.
    """

    def __init__(
        self,
        prompt: Prompt,
        options: Options,
        pinned: str | None,
        garage: Garage,
        chooser: Chooser,
        cascade: TokenCascade | None,
        emit: Callable[[Any], None],
    ) -> None:
        self._prompt, self._options, self._pinned = prompt, options, pinned
        self._garage, self._chooser, self._cascade, self._emit = garage, chooser, cascade, emit
        self._answer: Answer | None = None
        self.cancelled = False

    def cancel(self) -> None:
        """Nobody wants it any more. Any thread may call it."""
        self.cancelled = True
        answer = self._answer
        if answer is not None:
            answer.cancel()

    def run(self) -> None:
        """Write it. In a thread of its own."""
        ended = Ended(_BROKEN)
        try:
            rung = self._chooser.turn(self._gone)  # a board that must rest does so for pinned rungs too
            self._write(self._pinned or rung)
            ended = Ended()
        except CancelledError:
            ended = Ended()
        except ShoestringError as error:
            ended = Ended(error)
        finally:  # after a defect too, whoever waits hears of it
            self._emit(ended)

    def _write(self, rung: str) -> None:
        cascade = self._cascade
        if (
            cascade is None
            or self._pinned is not None
            or rung != cascade.large
            or not cascades.applies(cascade, self._options)
            or not self._garage.fits(cascade.small, cascade.large)
        ):
            self._stream(rung, {})
            return
        told = self._options if self._options.logprobs is not None else replace(self._options, logprobs=0)
        pieces = list(self._pieces(cascade.small, told))
        level = cascades.sureness(pieces)
        more = {"sureness": level, "threshold": cascade.threshold}
        if cascades.stands(cascade, pieces):
            self._emit(Began(cascade.small, {"cascade": "kept", **more}))
            for piece in pieces:
                self._emit(piece)
        elif not self.cancelled:
            self._stream(rung, {"cascade": "passed on", **more})

    def _stream(self, rung: str, more: dict[str, Any]) -> None:
        first = True
        for piece in self._pieces(rung, self._options):
            if first:
                self._emit(Began(rung, more))
                first = False
            self._emit(piece)

    def _pieces(self, rung: str, options: Options) -> Iterator[Piece]:
        """What the rung writes, each piece counted."""
        try:
            with self._garage.lease(rung, self._gone) as writer:
                self._answer = answer = writer.write(self._prompt, options)
                if self.cancelled:
                    answer.cancel()
                last_s: float | None = None
                for piece in answer:
                    now_s = time.monotonic()
                    if last_s is not None and piece.count:  # the first one's time is that of the prompt
                        self._chooser.wrote(rung, now_s - last_s, piece.count)
                    last_s = now_s
                    yield piece
        except (DataError, EngineDownError):  # the client's mistake; the service ends
            raise
        except ShoestringError:  # the rung's own: it broke, answers otherwise here, cannot be loaded
            self._chooser.failed(rung)
            raise
        finally:
            self._answer = None

    def _gone(self) -> bool:
        return self.cancelled


__all__ = ["Always", "Began", "Chooser", "Ended", "Job"]
