"""The inside of the process that scores text: one model, held by the C functions of llama.cpp."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from shoestring.base.errors import EngineError
from shoestring.runtimes.guard_child import Desk, answer_all
from shoestring.runtimes.llamacpp.library import open_library
from shoestring.runtimes.llamacpp.loaded import Loaded
from shoestring.runtimes.llamacpp.reference import Shelf
from shoestring.runtimes.llamacpp.rows import ROWS_AT_ONCE, NotNumbersError, Sums, log_softmax, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shoestring.runtimes.llamacpp.rows import Floats

NOT_NUMBERS = "not numbers"


def serve(channel: int, inputs: int, outputs: int, counter: int, parent: int) -> None:
    """See `guard_child.serve`."""
    answer_all(ScorerDesk, channel, inputs, outputs, counter, parent)


class ScorerDesk(Desk):
    """Answers by its methods; arguments as of `Desk`."""

    _loaded: Loaded | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """See `Desk.answer`; logits that are no numbers are a result, so that the parent can say what fault it is."""
        try:
            return super().answer(request)
        except NotNumbersError as error:
            return {"result": {NOT_NUMBERS: str(error)}}

    def _do_load(self, request: dict[str, Any]) -> dict[str, Any]:
        library = open_library()
        loaded = Loaded(
            library,
            request["path"],
            request["context"],
            request["batch"],
            request["threads"],
            request["prefill_threads"],
        )
        self._loaded = loaded
        return {
            "version": library.named,
            "vocabulary": loaded.vocabulary,
            "context": loaded.context,
            "trained_context": loaded.trained_context,
            "width": loaded.width,
            "layers": loaded.layers,
        }

    def _do_tokenize(self, request: dict[str, Any]) -> list[list[int]]:
        model = self._model()
        return [model.tokenize(text, request["special"], request["add_start"]) for text in request["texts"]]

    def _do_text(self, request: dict[str, Any]) -> str:
        return self._model().text(request["tokens"])

    def _do_score(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        model, tokens = self._model(), request["tokens"]
        rows = np.empty((len(tokens), model.vocabulary), np.float32)
        for start, chunk in self._rows(tokens, 0, len(tokens)):
            rows[start : start + len(chunk)] = chunk
        return self._outputs.write({"logprobs": rows})

    def _do_remember(self, request: dict[str, Any]) -> float:
        """Keep the answers to a run; returns the sum of its losses."""
        model, tokens, lead, rows = self._model(), request["tokens"], request["lead"], request["rows"]
        shelf, sums = Shelf(request["file"], request["place"], rows, model.vocabulary), Sums()
        following = np.asarray(tokens[lead + 1 :])
        for start, chunk in self._rows(tokens, lead, rows):
            sums.add_loss(chunk, following[start : start + len(chunk)])
            shelf.put(start, *pack(chunk))
        return sums.loss

    def _do_compare(self, request: dict[str, Any]) -> list[float]:
        """Hold a run against what was kept of it: sums of KL, of same likeliest tokens and of losses."""
        model, tokens, lead, rows = self._model(), request["tokens"], request["lead"], request["rows"]
        shelf, sums = Shelf(request["file"], request["place"], rows, model.vocabulary), Sums()
        following = np.asarray(tokens[lead + 1 :])
        for start, chunk in self._rows(tokens, lead, rows):
            steps, frame, top = shelf.take(start, len(chunk))
            sums.add_loss(chunk, following[start : start + len(chunk)])
            sums.add_divergence(chunk, unpack(steps, frame), top)
        return [sums.kl, float(sums.same), sums.loss]

    def _do_loss(self, request: dict[str, Any]) -> float:
        tokens, lead, rows = request["tokens"], request["lead"], request["rows"]
        sums, following = Sums(), np.asarray(tokens[lead + 1 :])
        for start, chunk in self._rows(tokens, lead, rows):
            sums.add_loss(chunk, following[start : start + len(chunk)])
        return sums.loss

    def _do_rate(self, request: dict[str, Any]) -> list[float]:
        """Seconds to read a prompt, and seconds for each token written after it, the likeliest each time."""
        model, tokens = self._model(), request["tokens"]
        model.use_threads(request["threads"], request["prefill_threads"])
        model.restart()
        start = time.perf_counter()
        logits = None
        for place in range(0, len(tokens), model.batch):
            last = place + model.batch >= len(tokens)
            logits = model.read(tokens[place : place + model.batch], "last" if last else "none")
            self._finished()
        read_s = time.perf_counter() - start
        written_s = []
        for _ in range(request["written"]):
            assert logits is not None  # the last batch of the prompt had some
            start = time.perf_counter()
            logits = model.read([int(logits[0].argmax())], "last")
            written_s.append(time.perf_counter() - start)
            self._finished()
        return [read_s, *written_s]

    def _rows(self, tokens: list[int], lead: int, rows: int) -> Iterator[tuple[int, Floats]]:
        """Log-probabilities after the tokens from `lead` on, some rows at a time, each with the number of its first."""
        at = -lead
        for logits in self._model().logits(tokens):
            self._finished()
            for start in range(0, len(logits), ROWS_AT_ONCE):
                chunk = logits[start : start + ROWS_AT_ONCE]
                low, high = max(0, -at), min(len(chunk), rows - at)
                if low < high:
                    yield at + low, log_softmax(chunk[low:high])
                at += len(chunk)

    def _model(self) -> Loaded:
        if self._loaded is None:
            raise EngineError("no model is loaded")
        return self._loaded
