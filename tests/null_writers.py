"""A writer for tests, with the production's interface: it writes what it is told, at a pace, and breaks on demand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from shoestring.base.errors import DataError, EngineFaultError, PromptTooLongError
from shoestring.device.language.nouns import LENGTH, STOP, Likely, Options, Piece, Prompt, Usage, Written

CONTEXT = 256
WORDS = ("one ", "two ", "three ", "four ", "five ", "six ", "seven ", "eight ", "nine ", "ten ")


class NullAnswer:
    """Words of a prompt in capitals: `say hello` is answered by `SAY HELLO`, a token each.

    A prompt may ask for a fault: `!die 3` after three tokens, `!count 40` for so many words, `!hang` before the first
    until it is cancelled, `!json` for an object.
    """

    def __init__(self, writer: NullWriter, prompt: Prompt, options: Options) -> None:
        self._writer, self._options = writer, options
        self.text = prompt.text if prompt.text is not None else prompt.messages[-1][1]
        self._read = (
            len(" ".join([m for _, m in prompt.messages]).split()) if prompt.messages else len(self.text.split())
        )
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        self._cancelled.set()

    def __iter__(self) -> Iterator[Piece]:
        writer = self._writer
        writer.begun.append(self.text)
        if self._read >= writer.context:
            words = f"the prompt has {self._read} tokens, the context is {writer.context}"
            raise PromptTooLongError(words, self._read, writer.context, hint="send a shorter one")
        if self.text.startswith("!refuse"):
            raise DataError("the schema cannot be kept", hint="take another")
        if self.text.startswith("!hang"):
            self._cancelled.wait(30)
        with writer.at_once:
            try:
                yield from self._words()
            finally:
                if self._cancelled.is_set():
                    writer.cancelled.append(self.text)

    def _words(self) -> Iterator[Piece]:
        words, die = self._answer()
        limit = min(self._options.max_tokens or CONTEXT, self._writer.context - self._read)
        finish = STOP if len(words) < limit or len(words) == limit else LENGTH
        text = ""
        for place, word in enumerate(words[:limit]):
            if self._cancelled.wait(self._writer.seconds):
                return
            if place == die:
                self._writer.dead = True
                raise EngineFaultError("the engine crashed (signal 11)", "crashed")
            text += word
            stop = next((one for one in self._options.stop if one in text), None)
            if stop is not None:
                yield Piece("", count=0, finish=STOP, usage=Usage(self._read, place + 1))
                return
            yield Piece(word, self._told(word))
        yield Piece("", count=0, finish=finish, usage=Usage(self._read, min(len(words), limit)))

    def _told(self, word: str) -> tuple[Written, ...]:
        if self._options.logprobs is None:
            return ()
        token = Likely(word, self._writer.logprob(self.text), word.encode())
        return (Written(token, (token,) * self._options.logprobs),)

    def _answer(self) -> tuple[list[str], int | None]:
        order, _, rest = self.text.partition(" ")
        if order == "!die":
            return list(WORDS), int(rest)
        if order == "!count":
            return [WORDS[i % len(WORDS)] for i in range(int(rest))], None
        if self._options.json:
            return ["{", '"rung": ', f'"{self._writer.rung}"', "}"], None
        return [word.upper() + " " for word in self.text.split()], None


class NullWriter:
    """One rung of words."""

    def __init__(
        self,
        rung: str,
        *,
        seconds: float = 0.0,
        context: int = CONTEXT,
        logprob: Callable[[str], float] = lambda _: -0.1,
    ) -> None:
        self.rung, self.seconds, self.logprob = rung, seconds, logprob
        self.context = context
        self.at_once = threading.Semaphore(1000)
        self.begun: list[str] = []
        self.cancelled: list[str] = []
        self.dead = self.closed = False

    def write(self, prompt: Prompt, options: Options) -> NullAnswer:
        assert not self.closed
        return NullAnswer(self, prompt, options)

    def close(self) -> None:
        self.closed = True


def slowly(writer: NullWriter, seconds: float) -> NullWriter:
    """The same at another pace."""
    writer.seconds = seconds
    return writer
