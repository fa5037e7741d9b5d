"""What an engine is asked and what it answers, whether it runs here or in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from shoestring.base.limits import GUARD_RUN_SECONDS, MIB
from shoestring.domain.cascade import RUNTIME

Pixels = npt.NDArray[np.uint8]

CASCADE = RUNTIME
"""What a bundle's cascade is called among the rungs."""

STATES = ("unproven", "proven", "resting", "refused")


@dataclass(frozen=True)
class Reply:
    """What the models say of one image.

    Args:
        outputs: float32 (M,), one flat vector of finite numbers.
        rung: that answered; of a cascade the stage whose answer stood.
        busy_s: that the answer took where it was computed, pre-processing included, s.
        stages: of a cascade that ran; 1 for a single rung.
        probabilities: whether the outputs are probabilities already.
    """

    outputs: npt.NDArray[np.float32]
    rung: str
    busy_s: float
    stages: int
    probabilities: bool


@dataclass(frozen=True)
class RungState:
    """What is known of a rung on this device.

    Args:
        name: of the rung, or CASCADE.
        state: one of STATES. `unproven`: its golden set was not replayed here yet; `proven`: it was, and answered as it
            must; `resting`: its engine failed too often and is left for a time; `refused`: it never runs here.
        failures: of its engine, within the memory of the policy.
        next_try_s: seconds from now before which it is not started again; 0 for at once, None for never.
        why: it rests or is refused, in words; empty otherwise.
        frame_s: that one golden input took here on average, pre-processing included, s; None while it is unproven.
    """

    name: str
    state: str
    failures: int = 0
    next_try_s: float | None = 0.0
    why: str = ""
    frame_s: float | None = None


@dataclass(frozen=True)
class Care:
    """What engines may take, and when they are replaced before they break.

    Args:
        frame_s: wall-clock time of one frame before its engine is taken to hang, s. None takes FRAME_FACTOR times what
            a golden input took here, at least LEAST_FRAME_S.
        load_s: to start a process, load a rung and replay its golden set, s; once a rung was loaded here, LOAD_FACTOR
            times what it took then is the limit where that is less.
        memory_bytes: resident memory of all engine processes together; None for no limit but the machine's.
        spare_bytes: of the machine that stay free; a second process is started only where they do.
        recycle_frames: frames after which a process is replaced; None for never.
        recycle_s: age at which it is replaced, s; None for never.
        growth_bytes: resident memory that it may gain before it is replaced.
        warm: whether a second process is kept ready with a neighbour of the rung, so that a fault or a move costs no
            wait; with the same rung once more where no other may run.
    """

    frame_s: float | None = None
    load_s: float = 120.0
    memory_bytes: int | None = None
    spare_bytes: int = 64 * MIB
    recycle_frames: int | None = 1_000_000
    recycle_s: float | None = 24 * 3600.0
    growth_bytes: int = 64 * MIB
    warm: bool = True


FRAME_FACTOR, LEAST_FRAME_S, MOST_FRAME_S = 20.0, 1.0, GUARD_RUN_SECONDS
"""Of a golden input's mean time: a board that throttles to a third of its clock beside a busy neighbour stays below."""
LOAD_FACTOR, LEAST_LOAD_S = 10.0, 10.0


def frame_limit_s(care: Care, golden_s: float) -> float:
    """Seconds that one frame may take, of a rung whose golden inputs took `golden_s` each."""
    if care.frame_s is not None:
        return care.frame_s
    return min(MOST_FRAME_S, max(LEAST_FRAME_S, FRAME_FACTOR * golden_s))


class Engine(Protocol):
    """Runs rungs of one bundle, one at a time."""

    @property
    def rungs(self) -> tuple[RungState, ...]:
        """All that may run, from cheap to dear."""
        ...

    @property
    def running(self) -> str | None:
        """The rung that would answer now; None while there is none."""
        ...

    def switch(self, rung: str) -> None:
        """Ask for a rung. It returns at once; `Reply.rung` tells when it runs.

        Raises:
            UsageError: there is no such rung.
        """
        ...

    def infer(self, pixels: Pixels) -> Reply:
        """Answer one image.

        Args:
            pixels: uint8 (height, width, channels), as `inputs.image.pixels` gives it for the bundle.

        Raises:
            DataError: pixels of another shape or type.
            EngineDownError: there is no engine just now; the error says when the next one is tried.
            EngineError: the engine failed on this image; what is done about it is done already.
        """
        ...

    def tend(self) -> None:
        """Do what is due: take in a process that is ready, replace one that is old. `infer` does it too."""
        ...

    def take_failures(self) -> tuple[tuple[str, int], ...]:
        """Rungs whose engine failed since the last call, with how often."""
        ...

    def close(self) -> None:
        """End everything; a second call does nothing."""
        ...


__all__ = ["CASCADE", "STATES", "Care", "Engine", "Pixels", "Reply", "RungState", "frame_limit_s"]
