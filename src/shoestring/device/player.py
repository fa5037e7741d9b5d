"""Run a bundle: pick a rung, replay the golden set, answer images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import DataError, EngineError
from shoestring.bundle.refusal import refuse
from shoestring.device.answers import Answer, are_probabilities, to_answer
from shoestring.device.choose import choose_rung
from shoestring.device.golden import golden_inputs, golden_outputs, replay
from shoestring.inputs.image import tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from shoestring.bundle import Bundle
    from shoestring.runtimes.protocol import Runtime, Session

Array = npt.NDArray[Any]


class Player:
    """One loaded rung that was proven to answer here as it did where it was certified. Use it in a `with` block.

    Args:
        bundle: open; it may be closed once the player is made.
        rung: name of the rung; None takes the ladder's chosen one, or what `latency_ms` asks for.
        threads: of the runtime; None takes the rung's own count.
        latency_ms: takes the most accurate rung that was measured within it.
        runtime: that loads the model; None takes the one the rung names.

    Attributes:
        rung: the one that is loaded.
        threads: in use.
        replayed: number of golden inputs that were compared.

    Raises:
        UsageError: no such rung, thread count or runtime.
        BudgetError: no rung within `latency_ms`.
        MissingExtraError: the rung's runtime is not installed.
        EngineError: the runtime refuses the model.
        BundleError: the model or the golden set is not what the manifest says.
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
        self.rung = choose_rung(manifest.ladder, name=rung, threads=threads, latency_ms=latency_ms)
        self.threads = self.rung.threads if threads is None else threads
        self._spec, self._labels = manifest.preprocess, manifest.labels
        self._input, self._output = manifest.input, manifest.output
        candidate = self.rung.candidate
        engine = _runtime(candidate.runtime) if runtime is None else runtime
        inputs = golden_inputs(bundle)
        expected = golden_outputs(bundle, self.rung, len(inputs))
        self._probabilities = are_probabilities(expected)
        self._session = engine.load(bundle.read(candidate.artefact_sha256), self.threads)
        try:
            self._repeats = _check_session(self._session, bundle, self.rung.name)
            replay(bundle, self.rung, self._infer, lambda: f"{engine.name} {engine.version()}", inputs, expected)
        except BaseException:
            self._session.close()
            raise
        self.replayed = len(inputs)

    def classify(self, images: Iterable[npt.NDArray[np.uint8]]) -> Iterator[Answer]:
        """Answer images one by one, as they come.

        Args:
            images: each (height, width, channels) as `inputs.image.pixels` gives it for the bundle's pre-processing.

        Raises:
            DataError: an image of another shape or type.
            EngineError: the engine fails, or its output is not a finite number.
        """
        for image in images:
            if not isinstance(image, np.ndarray):
                raise DataError(
                    f"an image is a {type(image).__name__}, not a numpy array", hint="read files with read_image"
                )
            yield to_answer(self._infer(image), self._labels, probabilities=self._probabilities)

    def close(self) -> None:
        """Free the engine's memory; a second call does nothing."""
        self._session.close()

    def __enter__(self) -> Player:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _infer(self, image: Array) -> Array:
        """uint8 (height, width, channels) -> (classes,). A model with a fixed batch gets the image in every place."""
        batch = tensor(image[np.newaxis], self._spec)
        if self._repeats > 1:
            batch = np.repeat(batch, self._repeats, axis=0)
        output = self._session.run({self._input.name: batch})[self._output.name]
        if output.ndim != 2 or len(output) != self._repeats:
            raise EngineError(
                f"output {self._output.name!r} has shape {output.shape}, not ({self._repeats}, classes)",
                hint="make the bundle again",
            )
        first: Array = output[0]
        return first


def _runtime(name: str) -> Runtime:
    from shoestring.runtimes import registry

    return registry.get(name)


def _check_session(session: Session, bundle: Bundle, rung: str) -> int:
    """The model's batch (1 where it is free), once its input and output are those of the manifest."""
    wanted_input, wanted_output = bundle.manifest.input, bundle.manifest.output
    found = [(spec.name, spec.dtype) for spec in session.inputs]
    if found != [(wanted_input.name, wanted_input.dtype)]:
        raise refuse(f"the model of {rung!r} takes {found}, the manifest says {wanted_input.name!r}")
    if wanted_output.name not in [spec.name for spec in session.outputs]:
        names = [spec.name for spec in session.outputs]
        raise refuse(f"the model of {rung!r} answers {names}, the manifest says {wanted_output.name!r}")
    shape = session.inputs[0].shape
    return (shape[0] if shape else None) or 1
