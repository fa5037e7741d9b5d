"""Load a rung of a bundle, and let nothing out of it before its golden set was replayed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shoestring.bundle.refusal import refuse
from shoestring.device.answers import are_probabilities
from shoestring.device.golden import golden_inputs, golden_outputs, replay
from shoestring.device.single import Single

if TYPE_CHECKING:
    from shoestring.bundle import Bundle
    from shoestring.domain.ladder import Rung
    from shoestring.domain.model import TensorSpec
    from shoestring.runtimes.protocol import Runtime, Session


class Loaded:
    """One rung, proven to answer here as it did where it was certified.

    Args:
        bundle: open.
        rung: of the ladder, or a stage of its cascade.
        threads: of the runtime.
        runtime: that loads the model; None takes the one the rung names.

    Attributes:
        single: runs it.
        probabilities: whether its golden outputs are probabilities.
        replayed: number of golden inputs that were compared.
        golden_s: that one of them took here on average, pre-processing included, s.

    Raises:
        UsageError, MissingExtraError, EngineError, BundleError, GoldenError: as `Player` says.
    """

    def __init__(self, bundle: Bundle, rung: Rung, threads: int, runtime: Runtime | None) -> None:
        manifest, candidate = bundle.manifest, rung.candidate
        self.rung = rung
        engine = _runtime(candidate.runtime) if runtime is None else runtime
        inputs = golden_inputs(bundle)
        expected = golden_outputs(bundle, rung, len(inputs))
        self.probabilities = are_probabilities(expected)
        student = manifest.student(rung.name)
        ours = manifest if student is None else student
        self._session = engine.load(bundle.read(candidate.artefact_sha256), threads)
        try:
            _check_session(self._session, ours.input, ours.output, rung.name)
            self.single = Single(
                self._session,
                ours.input,
                ours.output,
                manifest.pixels,
                manifest.pixels if student is None else student.preprocess,
            )
            start = time.perf_counter()
            replay(bundle, rung, self.single.infer, lambda: f"{engine.name} {engine.version()}", inputs, expected)
        except BaseException:
            self._session.close()
            raise
        self.replayed = len(inputs)
        self.golden_s = (time.perf_counter() - start) / len(inputs)

    def close(self) -> None:
        """Free the engine's memory; a second call does nothing."""
        self._session.close()


def _runtime(name: str) -> Runtime:
    from shoestring.runtimes import registry

    return registry.get(name)


def _check_session(session: Session, wanted_input: TensorSpec, wanted_output: TensorSpec, rung: str) -> None:
    """Raises BundleError unless the model's input and output are those of the manifest."""
    found = [(spec.name, spec.dtype) for spec in session.inputs]
    if found != [(wanted_input.name, wanted_input.dtype)]:
        raise refuse(f"the model of {rung!r} takes {found}, the manifest says {wanted_input.name!r}")
    if wanted_output.name not in [spec.name for spec in session.outputs]:
        names = [spec.name for spec in session.outputs]
        raise refuse(f"the model of {rung!r} answers {names}, the manifest says {wanted_output.name!r}")
