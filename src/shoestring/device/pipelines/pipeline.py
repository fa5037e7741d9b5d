"""The way of a frame: is the model asked about it, what of it does the model see, and what does its output say."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.device.answers import boxes_of, to_answer
from shoestring.device.pipelines.motion import MotionGate
from shoestring.device.pipelines.nouns import Result
from shoestring.device.pipelines.prepare import RESIZERS, prepare
from shoestring.device.pipelines.track import Tracker, Tracking
from shoestring.heads import detect

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from shoestring.device.pipelines.motion import Gating
    from shoestring.device.pipelines.nouns import Box, Frame
    from shoestring.domain.head import Head
    from shoestring.domain.preprocess import Preprocess
    from shoestring.inputs.image import Pixels

    Floats = npt.NDArray[np.float32]
    Infer = Callable[[Pixels], Floats]

_TRACKING = Tracking()


@dataclass(frozen=True)
class Reading:
    """What a model's output means.

    Args:
        spec: pre-processing of the bundle.
        labels: class names in order; may be shorter.
        head: of a detector; None for a classifier.
        probabilities: of a classifier: whether it answers probabilities, not logits.
    """

    spec: Preprocess
    labels: tuple[str, ...] = ()
    head: Head | None = None
    probabilities: bool = False


@dataclass(frozen=True)
class Sparing:
    """What spares the model work.

    Args:
        every: the model sees at least every so many frames, at least 1; a tracker tells the boxes of those between,
            unless something has come that it does not know well yet.
        gate: holds the last answer while nothing moves; None asks the model always.
        tracking: of the tracker; None follows nothing, and allows no `every` above 1.
        resizer: one of `prepare.RESIZERS`.
    """

    every: int = 1
    gate: Gating | None = None
    tracking: Tracking | None = _TRACKING
    resizer: str = "certified"


class Pipeline:
    """Turns the frames of one source into results, in their order.

    Either `answer` does all of it, or whoever runs the engine elsewhere goes by steps: `decide`, then for "model"
    `prepare` and `finish` with the engine's output, else `repeat`.

    Args:
        reading: what the model's output means.
        sparing: what spares it work.
        rate: frames a second of a source that is not live. Things move from frame to frame of a film, however fast its
            frames are worked off; None goes by the time of arrival.
        clock: monotonic, s.

    Raises:
        UsageError: `every` is below 1, or above it without a tracker or for a classifier; an unknown resizer.
    """

    def __init__(
        self,
        reading: Reading,
        sparing: Sparing | None = None,
        *,
        rate: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        sparing = sparing or Sparing()
        if sparing.every < 1:
            raise UsageError(f"the model is to see every {sparing.every}th frame, the least is 1")
        if sparing.every > 1 and (reading.head is None or sparing.tracking is None):
            raise UsageError(
                f"every {sparing.every}th frame needs a tracker for those between, and classes are not tracked",
                hint="a classifier takes the motion gate alone",
            )
        if sparing.resizer not in RESIZERS:
            raise UsageError(f"resizer {sparing.resizer!r} is not one of {', '.join(RESIZERS)}")
        self.reading, self.sparing = reading, sparing
        self._clock, self._rate = clock, rate
        self._gate = None if sparing.gate is None else MotionGate(sparing.gate)
        self._tracker = None if sparing.tracking is None or reading.head is None else Tracker(sparing.tracking)
        self._since = 0
        self._last: Result | None = None

    def decide(self, frame: Frame) -> str:
        """Who is to answer a frame, one of `nouns.BY`. Call it once for each frame, before anything else."""
        still = self._gate is not None and self._gate.still(frame.pixels, self._moment(frame))
        self._since += 1
        if self._last is None:
            return "model"
        if still:
            return "still"
        settled = self._tracker is not None and self._tracker.settled
        return "track" if settled and self._since < self.sparing.every else "model"

    def prepare(self, frame: Frame) -> Pixels:
        """The pixels that the model takes, uint8 (height, width, channels). Raises DataError as `prepare.prepare`."""
        return prepare(frame.pixels, self.reading.spec, self.sparing.resizer)

    @property
    def follows(self) -> bool:
        """Whether a tracker could tell the boxes of a frame that the model does not see."""
        return self._tracker is not None and self._last is not None

    def finish(
        self, frame: Frame, outputs: Floats, rung: str = "", stages: int = 1, probabilities: bool | None = None
    ) -> Result:
        """The result of a frame that the model answered.

        Args:
            frame: the one that `decide` saw last.
            outputs: flat float32 of the model.
            rung: that answered.
            stages: of a cascade that ran.
            probabilities: of a classifier: whether these outputs are probabilities; None: as the reading says.

        Raises:
            EngineError: the output is not what the reading says, or not a number.
        """
        reading = self.reading
        boxes: tuple[Box, ...] = ()
        answer = None
        if reading.head is None:
            certain = reading.probabilities if probabilities is None else probabilities
            answer = to_answer(outputs, reading.labels, probabilities=certain, rung=rung, stages=stages)
        else:
            found = detect(reading.head, outputs, (reading.spec.height, reading.spec.width))
            boxes = boxes_of(found, reading.labels, reading.spec, frame.size)
            if self._tracker is not None:
                boxes = self._tracker.update(boxes, self._moment(frame))
        if self._gate is not None:
            self._gate.asked(self._moment(frame))
        self._since = 0
        self._last = Result(frame.number, frame.at_s, self._clock(), rung, "model", boxes, answer, frame.name)
        return self._last

    def repeat(self, frame: Frame, by: str) -> Result:
        """The result of a frame that the model does not see, from its last answer.

        Args:
            frame: the one that `decide` saw last.
            by: `track` or `still`, as `decide` said.

        Raises:
            UsageError: there is no answer yet.
        """
        if self._last is None:
            raise UsageError("no frame was answered by the model yet", hint="ask `decide`")
        boxes = self._last.boxes
        if self._tracker is not None and by == "track":
            boxes = self._tracker.predict(self._moment(frame))
        elif self._tracker is not None:
            self._tracker.hold(self._moment(frame))  # or tracks would drift on while nothing moves
        return replace(
            self._last,
            frame=frame.number,
            arrived_s=frame.at_s,
            answered_s=self._clock(),
            by=by,
            boxes=boxes,
            name=frame.name,
        )

    def answer(self, frame: Frame, infer: Infer, rung: str = "") -> Result:
        """The result of a frame, with an engine at hand.

        Args:
            frame: the next one.
            infer: pixels as `prepare` gives them to flat float32 outputs.
            rung: whose engine it is.

        Raises:
            EngineError, DataError: as `finish`, `prepare` and the engine.
        """
        by = self.decide(frame)
        return self.finish(frame, infer(self.prepare(frame)), rung) if by == "model" else self.repeat(frame, by)

    def _moment(self, frame: Frame) -> float:
        return frame.at_s if self._rate is None else frame.number / self._rate
