"""llama.cpp as the writer of a bundle's rungs: its pieces are made ours, its process is looked after by its adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.device.language.model_files import model_file
from shoestring.device.language.nouns import LENGTH, STOP, Likely, Options, Piece, Prompt, Usage, Written

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

DRAFT = "draft:"
NGRAM_KIND = "ngram-simple"
"""Of the engine's ways to guess ahead from the text so far, the one that a bundle's `ngram` means."""


class LlamaAnswer:
    """See `nouns.Answer`."""

    def __init__(self, begin: Callable[[], Stream]) -> None:
        self._begin = begin
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
                yield ours(piece)


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
            return LlamaAnswer(lambda: engine.complete(text, theirs))
        messages = [{"role": role, "content": content} for role, content in prompt.messages]
        return LlamaAnswer(lambda: engine.chat(messages, theirs))

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


def ours(piece: EnginePiece) -> Piece:
    """One of the engine's pieces."""
    tokens: tuple[Written, ...] = ()
    if piece.token_logprob is not None:
        chosen = _likely(piece.text, piece.token_logprob)
        tokens = (Written(chosen, tuple(_likely(text, logprob) for text, logprob in piece.likeliest)),)
    if piece.finish is None or piece.usage is None:
        return Piece(piece.text, tokens)
    took = piece.usage
    usage = Usage(took.prompt_tokens, took.written_tokens, took.cached_tokens)
    return Piece(piece.text, tokens, 0, STOP if piece.finish == STOP else LENGTH, usage)


def load_rung(bundle: Bundle, rung: Rung, slots: int = 1, folder: Path | None = None) -> LlamaWriter:
    """One rung of a bundle that writes, loaded as the bundle says it is fastest.

    Args:
        bundle: open; it must stay so while rungs are loaded.
        rung: of its ladder.
        slots: answers at a time; each keeps a context of its own in memory.
        folder: for model files; None: the user's cache.

    Raises:
        MissingExtraError: xllamacpp is not installed.
        BundleError, StorageError: as `model_file`.
        ModelError, EngineFaultError: llama.cpp refuses the file, or breaks on it.
    """
    from shoestring.runtimes.llamacpp.writer import Writer as Engine

    generation = _generation(bundle)
    way = generation.speculation.get(rung.name)
    draft = None if way is None or not way.startswith(DRAFT) else bundle.manifest.ladder.rung(way.removeprefix(DRAFT))
    engine = Engine(
        model_file(bundle, rung.candidate.artefact_sha256, folder),
        context=generation.context,
        threads=rung.threads,
        prefill_threads=generation.prefill_threads[rung.name],
        slots=slots,
        cache_type=generation.cache_type,
        speculation=None if way is None else "draft" if draft is not None else NGRAM_KIND,
        draft=None if draft is None else model_file(bundle, draft.candidate.artefact_sha256, folder),
    )
    return LlamaWriter(engine)


def _generation(bundle: Bundle) -> Generation:
    from shoestring.base.errors import UsageError

    if bundle.manifest.generation is None:
        raise UsageError(f"{bundle.manifest.name!r} does not write text", hint="shoestring run answers with it")
    return bundle.manifest.generation


def _likely(text: str, logprob: float) -> Likely:
    return Likely(text, min(logprob, 0.0), text.encode())


__all__ = ["LlamaWriter", "load_rung", "options_of", "ours"]
