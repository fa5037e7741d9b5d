"""A language model that writes, in a process of its own."""

from __future__ import annotations

import http.client
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoestring.base.errors import EngineError, EngineFaultError, UsageError
from shoestring.runtimes.checks import check_threads
from shoestring.runtimes.guarded import Limits
from shoestring.runtimes.llamacpp import bodies
from shoestring.runtimes.llamacpp.asking import Options
from shoestring.runtimes.llamacpp.events import refusal
from shoestring.runtimes.llamacpp.keeping import Keeper
from shoestring.runtimes.llamacpp.stream import Stream, broken
from shoestring.runtimes.llamacpp.talking import post, whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SERVE = "shoestring.runtimes.llamacpp.writer_child:serve"
CONTEXT = 2048
BATCH = 512
"""Tokens of a prompt that are read in one step, each of which is a sign of life."""
SILENCE_SECONDS = 120.0
"""Without a sign of life before a writer is taken to hang: BATCH tokens of a model of 1.7 billion weights take a
Raspberry Pi 4 about 100 s (at 5 tokens a second)."""
WAIT_SECONDS = 600.0
"""For a free slot, where a request has no deadline: two long answers of a slow board."""
LIMITS = Limits(run_s=SILENCE_SECONDS)


class Writer:
    """A model loaded for writing. Any thread may call it; a request waits while all slots are taken.

    The first request after the process died starts it again.

    Args:
        model: a GGUF file.
        context: tokens of prompt and answer together, for each slot. The engine makes none longer than the model was
            trained for; the attribute has what there is.
        threads: that write, one token at a time.
        prefill_threads: that read prompts, many tokens at a time; None: as many.
        slots: answers that are written at the same time; each keeps its own context in memory.
        cache_type: of keys and values in memory: `f16`, `q8_0`, `q4_0`.
        speculation: `draft`, or one of `writer_child.NGRAM_KINDS`; None for none.
        draft: a small GGUF file of the same vocabulary, for `draft`.
        ahead: tokens that speculation proposes at a time; those that it guessed wrong were computed for nothing.
        match: tokens that must agree before `ngram-simple` and `ngram-map-k` propose anything.
        embedding: whether `embed` is possible too; with one slot only, since the engine takes the mean of wrong tokens
            where it reads two texts of unlike length at the same time (seen in xllamacpp 2026.10).
        batch: tokens of a prompt that are read in one step.
        limits: `run_s` is the longest silence while an answer is written.
        serve: what the process runs; for stand-ins.

    Raises:
        UsageError: a number or a name that makes no sense.
        MissingExtraError: xllamacpp is not installed.
        ModelError: llama.cpp refuses the file.
        EngineFaultError: it crashed, hung, or went past a limit.
    """

    def __init__(
        self,
        model: Path | str,
        *,
        context: int = CONTEXT,
        threads: int = 1,
        prefill_threads: int | None = None,
        slots: int = 1,
        cache_type: str = "f16",
        speculation: str | None = None,
        draft: Path | str | None = None,
        ahead: int = 4,
        match: int = 3,
        embedding: bool = False,
        batch: int = BATCH,
        limits: Limits = LIMITS,
        serve: str = SERVE,
    ) -> None:
        check_threads(threads)
        check_threads(prefill_threads or threads)
        numbers = {"context": context, "slots": slots, "ahead": ahead, "match": match, "batch": batch}
        for name, value in numbers.items():
            if value < 1:
                raise UsageError(f"{name} is {value}, and must be at least 1")
        if (speculation == "draft") != (draft is not None):
            raise UsageError("a draft model and the speculation 'draft' go together", hint="give both, or none")
        if embedding and slots != 1:
            raise UsageError(f"embedding with {slots} slots was asked for", hint="take one slot, or a second writer")
        self.model, self.slots = Path(model), slots
        self._limits, self._serve = limits, serve
        self._request = {
            "path": str(self.model.absolute()),
            "context": context,
            "threads": threads,
            "prefill_threads": prefill_threads or threads,
            "slots": slots,
            "cache_type": cache_type,
            "speculation": speculation,
            "draft": None if draft is None else str(Path(draft).absolute()),
            "ahead": ahead,
            "match": match,
            "embedding": embedding,
            "batch": min(batch, context),
        }
        self._free = threading.BoundedSemaphore(slots)
        self._starting = threading.Lock()
        self._closed = False
        self.starts = 0
        self._keeper = self._start()
        self.version = str(self._keeper.told["version"])
        self.context = min(context, int(self._keeper.told["trained_context"]))

    def chat(self, messages: Sequence[Mapping[str, Any]], options: Options | None = None) -> Stream:
        """Answer a conversation, in the form that the model's own template gives it.

        Args:
            messages: each with `role` (`system`, `user`, `assistant`) and `content`.
            options: None for the usual ones.

        Returns:
            The pieces, as they are written; they are also an iterator that can be closed or cancelled.

        Raises:
            UsageError: options that nobody can obey.
            DataError: the prompt is longer than the context, or the engine finds the request wrong.
            EngineFaultError: the process died or hangs; iterating raises it too. The next request starts it again.
        """
        options = options or Options()
        return self._stream(bodies.CHAT, bodies.chat_body(messages, options), options)

    def complete(self, prompt: str | Sequence[int], options: Options | None = None) -> Stream:
        """Go on where a text ends.

        Args:
            prompt: the text, or its tokens.
            options: as in `chat`.

        Returns:
            As `chat`. Raises as it does.
        """
        options = options or Options()
        return self._stream(bodies.COMPLETION, bodies.completion_body(prompt, options), options)

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Vectors of length one: the mean over tokens of what the last layer holds.

        Raises:
            DataError: a text is longer than a step of the engine, or it was not loaded with `embedding`.
            EngineFaultError: as `chat`.
        """
        answer = self._ask(bodies.EMBEDDING, {"input": list(texts)})
        try:
            found = {int(one["index"]): [float(value) for value in one["embedding"]] for one in answer["data"]}
            return [found[place] for place in range(len(texts))]
        except (KeyError, TypeError, ValueError) as error:
            raise EngineFaultError(f"{self._keeper.who} answered no vectors: {error!r}", "shape") from error

    def tokenize(self, text: str, *, special: bool = False, add_start: bool = False) -> list[int]:
        """Ids of a text by the tokenizer in the file; arguments as of `Scorer.tokenize`."""
        body = {"content": text, "add_special": add_start, "parse_special": special}
        answer = self._ask(bodies.TOKENIZE, body)
        try:
            return [int(one) for one in answer["tokens"]]
        except (KeyError, TypeError, ValueError) as error:
            raise EngineFaultError(f"{self._keeper.who} answered no tokens: {error!r}", "shape") from error

    def prompt_of(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """A conversation in the form that the model's own template gives it. Raises as `chat`."""
        answer = self._ask(bodies.TEMPLATE, {"messages": [dict(one) for one in messages]})
        try:
            return str(answer["prompt"])
        except (KeyError, TypeError) as error:
            raise EngineFaultError(f"{self._keeper.who} answered no prompt: {error!r}", "shape") from error

    def alive(self) -> bool:
        """Whether the process is there, as far as is known."""
        return not self._closed and self._keeper.alive()

    def peak_rss_bytes(self) -> int | None:
        """Peak resident memory of the process so far, Python included; None when it is gone."""
        return self._keeper.peak_rss_bytes()

    def resident_bytes(self) -> int | None:
        """Memory that the process holds now; None when it is gone."""
        return self._keeper.resident_bytes()

    def close(self) -> None:
        """End the process, and the answers that it writes; a second call does nothing."""
        with self._starting:
            self._closed = True
            self._keeper.close()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> Keeper:
        self.starts += 1
        return Keeper(f"llama.cpp with {self.model.name}", self._serve, self._request, self._limits)

    def _living(self) -> Keeper:
        with self._starting:
            if self._closed:
                raise EngineError("this writer was closed", hint="load the model again")
            if not self._keeper.alive():
                self._keeper.close()
                self._keeper = self._start()
            return self._keeper

    def _stream(self, path: str, body: dict[str, Any], options: Options) -> Stream:
        options.check()
        started_s = time.monotonic()
        wait_s = WAIT_SECONDS if options.deadline_s is None else options.deadline_s
        if not self._free.acquire(timeout=wait_s):
            raise EngineError(
                f"all {self.slots} slots were taken for {wait_s:g} s",
                hint="ask again, or with more time; an answer that nobody reads to its end has to be closed",
            )
        try:
            keeper = self._living()
        except BaseException:
            self._free.release()
            raise
        return Stream(keeper, path, body, options, self._limits.run_s, started_s, self._free.release)

    def _ask(self, path: str, body: dict[str, Any]) -> Any:
        """A request that is answered as a whole."""
        keeper = self._living()
        try:
            connection, response = post(keeper.address, path, body, self._limits.run_s)
            try:
                answer = whole(response, keeper.who)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise broken(keeper, error, self._limits.run_s) from error
        if response.status != http.client.OK:
            raise refusal(keeper.who, answer.get("error") if isinstance(answer, dict) else answer)
        return answer


__all__ = ["BATCH", "CONTEXT", "LIMITS", "Writer"]
