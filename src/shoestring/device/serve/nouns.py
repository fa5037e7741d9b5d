"""What is served: an engine that answers pixels, and what the server must know of its model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from shoestring.device.serve.live import LiveState

if TYPE_CHECKING:
    from shoestring.device.pipelines.nouns import Box
    from shoestring.domain.manifest import Manifest
    from shoestring.domain.preprocess import Preprocess

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Boxes = Callable[[Floats, tuple[int, int]], "tuple[Box, ...]"]
"""From a detector's flat outputs and (width, height) of the picture to boxes, best first."""


class Reply(Protocol):
    """What an engine says of one example; `device.supervise` gives such replies."""

    @property
    def outputs(self) -> Floats:
        """(values,), flat."""
        ...

    @property
    def rung(self) -> str:
        """That answered."""
        ...

    @property
    def busy_s(self) -> float:
        """Seconds that the engine took."""
        ...

    @property
    def stages(self) -> int:
        """Of a cascade that ran before the answer stood; 1 for a single rung."""
        ...

    @property
    def probabilities(self) -> bool:
        """Whether `outputs` are probabilities already."""
        ...


class Engine(Protocol):
    """Answers one example at a time, from one thread at a time."""

    def infer(self, pixels: Bytes) -> Reply:
        """One example, uint8 (height, width, channels).

        Raises:
            EngineFaultError: the engine broke and is being mended.
            EngineError: it refuses the example.
        """
        ...


@dataclass(frozen=True)
class Service:
    """One model behind the server.

    Args:
        name: in the paths; letters, digits, `-`, `_` and `.` stand for themselves, others are quoted by the client.
        version: the only one that is served.
        engine: of the model; the server calls it from one thread.
        spec: size and colours of the pixels that the engine takes.
        outputs: number of values that it answers for one example.
        labels: class names in order; may be shorter.
        boxes: for a detector, reads its outputs; None for a classifier.
        live: what the live page shows.
        ready: whether the engine can answer now; None: it always can.
        platform: as the protocol's metadata name it.
    """

    name: str
    version: str
    engine: Engine
    spec: Preprocess
    outputs: int
    labels: tuple[str, ...] = ()
    boxes: Boxes | None = None
    live: LiveState = field(default_factory=lambda: LiveState("model"))
    ready: Callable[[], bool] | None = None
    platform: str = "shoestring"


def service_of(
    manifest: Manifest,
    engine: Engine,
    *,
    version: str = "1",
    live: LiveState | None = None,
    boxes: Boxes | None = None,
    ready: Callable[[], bool] | None = None,
) -> Service:
    """What a bundle is served as.

    Args:
        manifest: of an opened bundle.
        engine: that runs its rungs.
        version, live, boxes, ready: as in `Service`; without `live` the page shows the requests alone.
    """
    values = math.prod(length or 1 for length in manifest.output.shape[1:])
    shown = LiveState(manifest.name) if live is None else live
    return Service(
        manifest.name,
        version,
        engine,
        manifest.pixels,
        values,
        manifest.labels,
        boxes=boxes,
        live=shown,
        ready=ready,
    )
