"""Run a bundle of an encoder: pick a rung, replay the golden texts, answer texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import EngineError, UsageError
from shoestring.bundle.refusal import refuse
from shoestring.device.answers import Answer, are_probabilities, to_answer
from shoestring.device.choose import choose_rung
from shoestring.device.golden import golden_outputs
from shoestring.device.text.golden import golden_texts, replay_texts
from shoestring.domain.text import CLASSIFICATION, EMBEDDING
from shoestring.inputs.text import BATCH_TOKENS, TextReader, run_texts

if TYPE_CHECKING:
    from types import TracebackType

    from shoestring.bundle import Bundle
    from shoestring.domain.text import TextInput
    from shoestring.runtimes.protocol import Runtime, Session

Array = npt.NDArray[Any]
CALM = frozenset(("fp32", "w4"))
"""Precisions whose answers do not depend on what else is in a batch: no range is found at run time."""


@dataclass(frozen=True)
class TextAnswer:
    """What a model says about one text.

    Args:
        answer: its classes.
        cut: the text had more tokens than the model takes; its end was not read.
        tokens: that were read.
    """

    answer: Answer
    cut: bool
    tokens: int


class TextPlayer:
    """One loaded rung of an encoder, proven to answer here as it did where it was certified. Use it in a `with` block.

    Args:
        bundle: open; it may be closed once the player is made.
        rung: name of the rung; None takes the ladder's chosen one, or what `latency_ms` asks for.
        threads: of the runtime; None takes the rung's own count.
        latency_ms: takes the best rung that was measured within it.
        runtime: that loads the model; None takes the one the rung names.

    Attributes:
        rung: that runs.
        threads: in use.
        replayed: number of golden texts that were compared.
        spec: how a text becomes an input.
        reader: the tokenizer, for whoever counts tokens.

    Raises:
        UsageError: no such rung or thread count, or the bundle is not of an encoder.
        BudgetError: no rung within `latency_ms`.
        MissingExtraError: the rung's runtime, or `tokenizers`, is not installed.
        EngineError: the runtime refuses the model.
        BundleError, DataError: the model, the tokenizer or the golden set is not what the manifest says.
        GoldenError: the golden set answers otherwise on this device.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        rung: str | None = None,
        threads: int | None = None,
        latency_ms: float | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        manifest = bundle.manifest
        if manifest.text is None:
            raise UsageError(
                f"{manifest.name!r} is not a bundle of an encoder of text", hint="shoestring inspect tells"
            )
        self.rung = choose_rung(manifest.ladder, name=rung, threads=threads, latency_ms=latency_ms)
        self.threads = self.rung.threads if threads is None else threads
        self.spec: TextInput = manifest.text
        self._labels, self._output = manifest.labels, manifest.output.name
        self.reader = TextReader(bundle.read(manifest.text.tokenizer), manifest.text)
        texts = golden_texts(bundle)
        self._probabilities = manifest.text.kind == CLASSIFICATION and are_probabilities(
            golden_outputs(bundle, self.rung, len(texts))
        )
        engine = _runtime(self.rung.candidate.runtime) if runtime is None else runtime
        self._session = engine.load(bundle.read(self.rung.candidate.artefact_sha256), self.threads)
        try:
            _check_session(self._session, manifest.text, self._output, self.rung.name)
            replay_texts(bundle, self.rung, self._infer, lambda: f"{engine.name} {engine.version()}", texts)
        except BaseException:
            self._session.close()
            raise
        self.replayed = len(texts)

    @property
    def is_classifier(self) -> bool:
        return self.spec.kind == CLASSIFICATION

    def classify(self, texts: Sequence[str]) -> list[TextAnswer]:
        """The classes of each text, in their order.

        Raises:
            UsageError: the bundle gives embeddings.
            DataError: a text that is too long to be tokenized, or is no Unicode.
            EngineError: the engine fails, or an output is not a finite number.
        """
        if not self.is_classifier:
            raise UsageError("this bundle gives embeddings and no classes", hint="use embed")
        if not texts:
            return []
        read = self.reader.tokens(texts)
        rows = self._rows(texts)
        return [
            TextAnswer(
                to_answer(row, self._labels, probabilities=self._probabilities, rung=self.rung.name),
                one.cut,
                min(len(one.ids), self.spec.max_tokens),
            )
            for row, one in zip(rows, read, strict=True)
        ]

    def embed(self, texts: Sequence[str]) -> Array:
        """The vector of each text, float32 (n, dimensions), in their order. Errors as of `classify`.

        Raises:
            UsageError: the bundle classifies.
        """
        if self.spec.kind != EMBEDDING:
            raise UsageError("this bundle answers classes and no embeddings", hint="use classify")
        if not texts:
            return np.zeros((0, 0), np.float32)
        rows = self._rows(texts)
        if not np.isfinite(rows).all():
            raise EngineError("the model's output is not a finite number", hint="use another rung")
        return rows

    def close(self) -> None:
        """Free the engine's memory; a second call does nothing."""
        self._session.close()

    def __enter__(self) -> TextPlayer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _rows(self, texts: Sequence[str]) -> Array:
        """One text a run, as it was certified, unless batches cannot change an answer."""
        together = BATCH_TOKENS if self.rung.candidate.recipe.precision in CALM else 1
        return run_texts(self.reader, self._run, texts, batch_tokens=together)

    def _infer(self, text: str) -> Array:
        row: Array = self._run(self.reader.one(text)[0])[0]
        return row

    def _run(self, feeds: dict[str, Array]) -> Array:
        rows = self._session.run(feeds)[self._output]
        count = len(feeds[self.spec.ids.name])
        if rows.ndim != 2 or len(rows) != count:
            raise EngineError(
                f"output {self._output!r} has shape {rows.shape}, not ({count}, values)", hint="make the bundle again"
            )
        return rows


def _runtime(name: str) -> Runtime:
    from shoestring.runtimes import registry

    return registry.get(name)


def _check_session(session: Session, spec: TextInput, output: str, rung: str) -> None:
    """Raises BundleError unless the model's inputs and output are those of the manifest."""
    found = sorted((one.name, one.dtype) for one in session.inputs)
    wanted = sorted((one.name, one.dtype) for one in (spec.ids, spec.mask, spec.types) if one is not None)
    if found != wanted:
        raise refuse(f"the model of {rung!r} takes {found}, the manifest says {wanted}")
    if output not in [one.name for one in session.outputs]:
        names = [one.name for one in session.outputs]
        raise refuse(f"the model of {rung!r} answers {names}, the manifest says {output!r}")
