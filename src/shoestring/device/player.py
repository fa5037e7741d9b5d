"""Run a bundle: pick a rung or its cascade, replay the golden set, answer images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shoestring.base.errors import DataError, EngineError, UsageError
from shoestring.base.sureness import sureness
from shoestring.device.answers import Answer, boxes_of, to_answer
from shoestring.device.choose import choose_rung
from shoestring.device.loading import Loaded
from shoestring.domain.cascade import stands
from shoestring.heads import detect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from shoestring.bundle import Bundle
    from shoestring.device.pipelines.nouns import Box
    from shoestring.domain.cascade import Cascade
    from shoestring.domain.ladder import Ladder, Rung
    from shoestring.domain.preprocess import Preprocess
    from shoestring.runtimes.protocol import Runtime

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Outputs:
    """What the models say of one image, before anything is made of it.

    Args:
        values: float (M,), one flat vector.
        rung: that gave it.
        stages: of a cascade that ran before the answer stood; 1 for a single rung.
        probabilities: whether the values are probabilities already.
    """

    values: Array
    rung: str
    stages: int
    probabilities: bool


class Player:
    """One loaded rung, or a cascade of them, that was proven to answer here as it did where it was certified.

    Use it in a `with` block. A bundle's cascade is there because it is cheaper than any rung that keeps the budget, so
    it runs unless something else is asked for: a rung, a latency, an engine of one's own, or no cascade.

    Args:
        bundle: open; it may be closed once the player is made.
        rung: name of the rung; None takes the cascade, the ladder's chosen one, or what `latency_ms` asks for.
        threads: of the runtime; None takes the rung's own count.
        latency_ms: takes the most accurate rung that was measured within it.
        runtime: that loads the model; None takes the one the rung names.
        cascade: True demands it, False forbids it, None takes it where there is one and nothing else was asked for.
        stages: whether `rung` may name a rung that stands in the cascade only, which alone may lose more than is
            certified; for a governor that was allowed to.

    Attributes:
        cascade: the one that runs, or None.
        rungs: that are loaded: one, or the stages from cheap to dear.
        rung: the last of them, the only one without a cascade.
        threads: in use by `rung`.
        replayed: number of golden inputs that were compared, for each rung.
        golden_s: that one of them took here on average, s; of a cascade the sum over its stages.

    Raises:
        UsageError: no such rung, thread count, runtime or cascade.
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
        cascade: bool | None = None,
        stages: bool = False,
    ) -> None:
        manifest = bundle.manifest
        named = rung is not None or latency_ms is not None or runtime is not None
        self.cascade = _pick_cascade(manifest.ladder, cascade, named)
        self.rungs: tuple[Rung, ...]
        known = {one.name: one for one in manifest.ladder.runnable} if stages else {}
        if self.cascade is None and rung in known:
            self.rungs = (known[rung],)
        elif self.cascade is None:
            self.rungs = (choose_rung(manifest.ladder, name=rung, threads=threads, latency_ms=latency_ms),)
        else:
            self.rungs = _stage_rungs(manifest.ladder, self.cascade)
        self.rung = self.rungs[-1]
        counts = [one.threads if threads is None else threads for one in self.rungs]
        self.threads = counts[-1]
        self._labels, self._head = manifest.labels, manifest.head
        self._loaded: list[Loaded] = []
        try:
            for one, count in zip(self.rungs, counts, strict=True):
                self._loaded.append(Loaded(bundle, one, count, runtime))
        except BaseException:
            self.close()
            raise
        self.replayed = self._loaded[-1].replayed
        self.golden_s = sum(loaded.golden_s for loaded in self._loaded)

    def classify(self, images: Iterable[npt.NDArray[np.uint8]]) -> Iterator[Answer]:
        """Answer images one by one, as they come.

        Args:
            images: each (height, width, channels) as `inputs.image.pixels` gives it for the bundle's pre-processing.

        Raises:
            DataError: an image of another shape or type.
            EngineError: the engine fails, or its output is not a finite number.
            UsageError: the bundle is of a detector.
        """
        if self._head is not None:
            raise UsageError("this bundle is of a detector, which answers boxes and no class", hint="use detect")
        for image in images:
            said = self.outputs(_checked(image))
            yield to_answer(
                said.values, self._labels, probabilities=said.probabilities, rung=said.rung, stages=said.stages
            )

    def outputs(self, image: Array) -> Outputs:
        """What stands before an answer. Arguments and errors as of `classify`, except that values are not looked at."""
        if self.cascade is not None:
            return self._climb(image, self.cascade)
        only = self._loaded[0]
        return Outputs(only.single.infer(image), only.rung.name, 1, only.probabilities)

    def detect(self, pictures: Iterable[tuple[npt.NDArray[np.uint8], tuple[int, int]]]) -> Iterator[tuple[Box, ...]]:
        """Objects in pictures, one by one, as they come; best first, from the head's threshold on.

        Args:
            pictures: pixels as for `classify`, and (width, height) of the picture that they are made from.

        Raises:
            UsageError: the bundle is of no detector.
            DataError, EngineError: as for `classify`.
        """
        if self._head is None:
            raise UsageError("this bundle classifies whole images and sees no boxes", hint="use classify")
        only = self._loaded[0]
        spec = only.single.spec
        for image, size in pictures:
            found = detect(self._head, only.single.infer(_checked(image)), (spec.height, spec.width))
            yield boxes_of(found, self._labels, spec, size)

    def close(self) -> None:
        """Free the engines' memory; a second call does nothing."""
        for loaded in self._loaded:
            loaded.close()

    def __enter__(self) -> Player:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _climb(self, image: Array, cascade: Cascade) -> Outputs:
        """Stage after stage, until an answer stands by the rule that was certified."""
        prepared: dict[Preprocess, Array] = {}
        for place, (stage, loaded) in enumerate(zip(cascade.stages, self._loaded, strict=True), start=1):
            single = loaded.single
            if single.spec not in prepared:
                prepared[single.spec] = single.prepare(image)
            outputs = single.run(prepared[single.spec])
            last = stage.threshold is None
            level = 0 if last else sureness(outputs, probabilities=stage.probabilities)[cascade.measure]
            if stands(level, stage.threshold):
                return Outputs(outputs, stage.rung, place, stage.probabilities)
        raise EngineError("no stage of the cascade answered", hint="make the bundle again")


def _checked(image: object) -> Array:
    if not isinstance(image, np.ndarray):
        raise DataError(f"an image is a {type(image).__name__}, not a numpy array", hint="read files with read_image")
    return image


def _pick_cascade(ladder: Ladder, wanted: bool | None, named: bool) -> Cascade | None:
    """The cascade to run, or None."""
    if wanted is False or (wanted is None and named):
        return None
    if wanted and named:
        raise UsageError(
            "both the cascade and a rung, a latency or an engine were asked for", hint="the cascade names its own rungs"
        )
    if wanted and ladder.cascade is None:
        raise UsageError(
            "this bundle has no cascade", hint="none paid when it was made; leave the choice to the ladder"
        )
    return ladder.cascade


def _stage_rungs(ladder: Ladder, cascade: Cascade) -> tuple[Rung, ...]:
    """The rungs of the stages, each at the thread count that it was certified at."""
    known = {rung.name: rung for rung in ladder.runnable}
    return tuple(replace(known[stage.rung], threads=stage.threads) for stage in cascade.stages)
