"""A conversation of several turns: what is sent each time, and what is forgotten when it grows too long."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import PromptTooLongError
from shoestring.device.language.nouns import Options, Prompt, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.device.language.nouns import Answer, Writer

MOST_TURNS = 64


@dataclass(frozen=True)
class Said:
    """One answer.

    Args:
        text: of it.
        finish: why it ended; None: it was stopped.
        usage: of it; None likewise.
        first_s: until its first piece.
        written_s: from the first piece to the last.
        forgotten: turns that were left out because the conversation had grown too long.
    """

    text: str
    finish: str | None
    usage: Usage | None
    first_s: float
    written_s: float
    forgotten: int

    @property
    def tokens_per_s(self) -> float | None:
        """Written after the first token; None where there are too few to say."""
        if self.usage is None or self.usage.written < 2 or self.written_s <= 0:
            return None
        return (self.usage.written - 1) / self.written_s


class Talk:
    """A conversation with one writer at a time.

    Args:
        system: what the model is told before everything; None: nothing.
        options: of each answer.
        most_turns: questions and their answers that are remembered, at least 1.
        clock: monotonic, s.
    """

    def __init__(
        self,
        system: str | None,
        options: Options,
        most_turns: int = MOST_TURNS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._system, self._options, self._most, self._clock = system, options, most_turns, clock
        self._turns: list[tuple[str, str]] = []  # question, answer
        self._answer: Answer | None = None
        self._stopped = threading.Event()

    @property
    def turns(self) -> int:
        """That are remembered."""
        return len(self._turns)

    def reset(self) -> None:
        """Forget all turns."""
        self._turns.clear()

    def stop(self) -> None:
        """Break off the answer under way; what came of it is kept. Safe within a signal's handler."""
        self._stopped.set()
        answer = self._answer
        if answer is not None:  # in a thread: a handler may have interrupted the very lock that cancelling takes
            threading.Thread(target=answer.cancel, daemon=True).start()

    def ask(self, writer: Writer, question: str, show: Callable[[str], None]) -> Said:
        """Ask, and show the answer as it comes.

        Args:
            writer: loaded.
            question: of the user.
            show: told each piece of text.

        Raises:
            PromptTooLongError: the question alone is longer than the context.
            DataError, EngineError: as `Answer.__iter__`; the turn is not remembered then.
        """
        self._stopped.clear()
        before = len(self._turns)
        del self._turns[: max(0, len(self._turns) - self._most + 1)]
        while True:
            try:
                said = self._written(writer, question, show, before)
                break
            except PromptTooLongError:
                if not self._turns:
                    raise
                del self._turns[: max(1, len(self._turns) // 4)]  # the oldest quarter: few tries even of many turns
            finally:
                self._answer = None
        self._turns.append((question, said.text))
        return said

    def _written(self, writer: Writer, question: str, show: Callable[[str], None], before: int) -> Said:
        began_s = self._clock()
        first_s: float | None = None
        text, finish, usage = "", None, None
        self._answer = answer = writer.write(Prompt(messages=self._messages(question)), self._options)
        if self._stopped.is_set():
            answer.cancel()
        for piece in answer:
            first_s = self._clock() if first_s is None else first_s
            if piece.text:
                text += piece.text
                show(piece.text)
            finish, usage = piece.finish, piece.usage
        end_s = self._clock()
        first_s = end_s if first_s is None else first_s
        return Said(text, finish, usage, first_s - began_s, end_s - first_s, before - len(self._turns))

    def _messages(self, question: str) -> tuple[tuple[str, str], ...]:
        messages = [] if self._system is None else [("system", self._system)]
        for asked, answered in self._turns:
            messages += [("user", asked), ("assistant", answered)]
        return (*messages, ("user", question))


__all__ = ["MOST_TURNS", "Said", "Talk"]
