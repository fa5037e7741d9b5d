"""llama.cpp as the writer of a bundle's rungs: its pieces are made ours, its process is looked after by its adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.device.language.model_files import model_file
from shoestring.device.language.nouns import LENGTH, STOP, Likely, Options, Piece, Prompt, Usage, Written
from shoestring.device.language.replaying import replay_rung
from shoestring.domain.text import DRAFT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from shoestring.bundle import Bundle
    from shoestring.domain.ladder import Rung
    from shoestring.domain.text import Generation
    from shoestring.runtimes.llamacpp.asking import Options as EngineOptions
    from shoestring.runtimes.llamacpp.asking import Piece as EnginePiece
    from shoestring.runtimes.llamacpp.stream import Stream
    from shoestring.runtimes.llamacpp.writer import Writer as Engine

SEEDS = 2**32 - 1
"""llama.cpp's seeds have 32 bits, and the last of them means none; larger ones are taken modulo this."""

NGRAM_KIND = "ngram-simple"
"""Of the engine's ways to guess ahead from the text so far, the one that a bundle's `ngram` means."""


class LlamaAnswer:
    """See `nouns.Answer`."""

    def __init__(self, begin: Callable[[], Stream], likeliest: int) -> None:
        self._begin, self._likeliest = begin, likeliest
        self._stream: Stream | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """See `Answer.cancel`."""
        self._cancelled = True
        stream = self._stream
        if stream is not None:
            stream.cancel()

    def __iter__(self) -> Iterator[Piece]:
        """See `Answer.__iter__`."""
        if self._cancelled:
            return
        with self._begin() as stream:
            self._stream = stream
            if self._cancelled:  # between the two lines above
                stream.cancel()
            for piece in stream:
                yield ours(piece, self._likeliest)


class LlamaWriter:
    """See `nouns.Writer`.

    Args:
        engine: closed here.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def context(self) -> int:
        """See `Writer.context`."""
        return self._engine.context

    def write(self, prompt: Prompt, options: Options) -> LlamaAnswer:
        """See `Writer.write`."""
        engine, theirs = self._engine, options_of(options)
        if prompt.text is not None:
            text = prompt.text
            return LlamaAnswer(lambda: engine.complete(text, theirs), theirs.likeliest)
        messages = [{"role": role, "content": content} for role, content in prompt.messages]
        return LlamaAnswer(lambda: engine.chat(messages, theirs), theirs.likeliest)

    def close(self) -> None:
        """See `Writer.close`."""
        self._engine.close()


def options_of(options: Options) -> EngineOptions:
    """As the engine takes them. What OpenAI's API does not name is switched off: temperature and top_p alone decide."""
    from shoestring.runtimes.llamacpp.asking import Options as EngineOptions

    return EngineOptions(
        max_tokens=options.max_tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=0,
        min_p=0.0,
        seed=None if options.seed is None else options.seed % SEEDS,
        stop=options.stop,
        json=options.json,
        schema=options.schema,
        logprobs=options.logprobs is not None,
        likeliest=options.logprobs or 0,
    )


def ours(piece: EnginePiece, likeliest: int = 0) -> Piece:
    """One of the engine's pieces, with so many of its likeliest tokens: the engine tells one more than none."""
    tokens: tuple[Written, ...] = ()
    if piece.token_logprob is not None:
        chosen = _likely(piece.text, piece.token_logprob)
        tokens = (Written(chosen, tuple(_likely(text, logprob) for text, logprob in piece.likeliest[:likeliest])),)
    if piece.finish is None or piece.usage is None:
        return Piece(piece.text, tokens)
    took = piece.usage
    usage = Usage(took.prompt_tokens, took.written_tokens, took.cached_tokens)
    return Piece(piece.text, tokens, 0, STOP if piece.finish == STOP else LENGTH, usage)


class Loader:
    """Loads rungs of a bundle that writes, as the bundle says they are fastest, after each has proven itself here.

    Args:
        bundle: open; it must stay so while rungs are loaded.
        slots: answers at a time; each keeps a context of its own in memory.
        folder: for model files; None: the user's cache.
    """

    def __init__(self, bundle: Bundle, slots: int = 1, folder: Path | None = None) -> None:
        self._bundle, self._slots, self._folder = bundle, slots, folder
        self._generation = _generation(bundle)
        self._proven: set[str] = set()

    def __call__(self, name: str) -> LlamaWriter:
        """One rung; its golden texts are replayed before the first use.

        Raises:
            MissingExtraError: xllamacpp is not installed.
            GoldenError: it answers otherwise here.
            BundleError, StorageError: as `model_file`.
            ModelError, EngineFaultError: llama.cpp refuses the file, or breaks on it.
        """
        from shoestring.runtimes.llamacpp.writer import Writer as Engine

        generation, ladder = self._generation, self._bundle.manifest.ladder
        rung = ladder.rung(name)
        if name not in self._proven:
            replay_rung(self._bundle, rung, folder=self._folder)
            self._proven.add(name)
        way = generation.speculation.get(name)
        draft = None if way is None or not way.startswith(DRAFT) else ladder.rung(way.removeprefix(DRAFT))
        engine = Engine(
            self._file(rung),
            context=generation.context,
            threads=rung.threads,
            prefill_threads=generation.prefill_threads[name],
            slots=self._slots,
            cache_type=generation.cache_type,
            speculation=None if way is None else "draft" if draft is not None else NGRAM_KIND,
            draft=None if draft is None else self._file(draft),
        )
        return LlamaWriter(engine)

    def _file(self, rung: Rung) -> Path:
        return model_file(self._bundle, rung.candidate.artefact_sha256, self._folder)


def _generation(bundle: Bundle) -> Generation:
    from shoestring.base.errors import UsageError

    if bundle.manifest.generation is None:
        raise UsageError(f"{bundle.manifest.name!r} does not write text", hint="shoestring run answers with it")
    return bundle.manifest.generation


def _likely(text: str, logprob: float) -> Likely:
    return Likely(text, min(logprob, 0.0), text.encode())


__all__ = ["LlamaWriter", "Loader", "options_of", "ours"]
