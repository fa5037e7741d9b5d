"""Everything a certificate rests on, kept so that anyone can recompute it."""

from __future__ import annotations

from dataclasses import dataclass, field

from shoestring.base.canonical import WHEN_SET
from shoestring.domain.cost import Machine
from shoestring.domain.detection import Detections
from shoestring.domain.divergence import BlockTrace
from shoestring.domain.proof import Proof


@dataclass(frozen=True)
class Split:
    """Images of one split in scoring order, and their labels if known.

    An image is named by the SHA-256 of its encoded file, or of its pixels for .npz. In a bundle for text, texts stand
    in the place of images, named by the SHA-256 of their UTF-8 bytes.
    """

    name: str
    images: tuple[str, ...]
    labels: tuple[int, ...] | None


@dataclass(frozen=True)
class Trace:
    """What one variant answered on one split: for each image the class indices, best first (at most five).

    Of a detector one index: 1 where no confident object of the original is lost and none is invented, else 0; the
    original's is always 1.

    On the selection split the answers may end early, for a candidate that was rejected before its last image; they are
    then those of the split's first images.
    """

    candidate: str
    split: str
    top: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Reading:
    """What one candidate answered on one split, one image at a time as a device runs it, and how sure it was.

    Args:
        first: for each image the best class.
        levels: for each measure of sureness the level of each image.
    """

    candidate: str
    split: str
    first: tuple[int, ...]
    levels: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Sensitivity:
    """How much the model's output suffers when this layer alone runs in int8.

    Args:
        layer: node name.
        operator: its ONNX type; of a model that writes the block type that this tensor alone was rounded to.
        kl: mean KL divergence of the softmax outputs, nats; of a model that is no classifier the mean over its outputs
            of squared error over squared value, of a detector over boxes and scores of each.
        sqnr_db: signal to quantization noise of the outputs, dB; None where only the divergence was found.
    """

    layer: str
    operator: str
    kl: float
    sqnr_db: float | None


@dataclass(frozen=True)
class Evidence:
    """Kept in the bundle.

    Args:
        metric: what the certificates speak of.
        splits: calibration, selection, certification.
        traces: the original's (candidate `original`) and each variant's, on selection and certification.
        sensitivity: of each layer that was probed, worst first.
        machine: where all of it was run, but for costs that `measured_on` speaks of.
        versions: of this project, Python, numpy, the runtimes.
        measurement: how latency was measured, in words and numbers.
        seed: of the splits.
        readings: of the stages of cascades that were tested, on selection and certification.
        measured_on: the board where costs were measured; None: on `machine`, or nowhere (they are estimates).
        proofs: answers of rungs on other instruction sets, sorted by rung and board; None: there are none.
        detections: of a detector, what lies behind its traces on the certification split; None for a classifier.
        blocks: of a model that writes text, in the place of traces: the original's and each candidate's.
    """

    metric: str
    splits: tuple[Split, ...]
    traces: tuple[Trace, ...]
    sensitivity: tuple[Sensitivity, ...]
    machine: Machine
    versions: dict[str, str]
    measurement: str
    seed: int
    readings: tuple[Reading, ...] = ()
    measured_on: Machine | None = field(default=None, metadata=WHEN_SET)
    proofs: tuple[Proof, ...] | None = field(default=None, metadata=WHEN_SET)
    detections: Detections | None = field(default=None, metadata=WHEN_SET)
    blocks: tuple[BlockTrace, ...] | None = field(default=None, metadata=WHEN_SET)

    def split(self, name: str) -> Split:
        """The split called `name`. Raises KeyError."""
        for split in self.splits:
            if split.name == name:
                return split
        raise KeyError(name)

    def trace(self, candidate: str, split: str) -> Trace:
        """What `candidate` answered on `split`. Raises KeyError."""
        for trace in self.traces:
            if (trace.candidate, trace.split) == (candidate, split):
                return trace
        raise KeyError((candidate, split))

    def reading(self, candidate: str, split: str) -> Reading:
        """How sure `candidate` was on `split`. Raises KeyError."""
        for reading in self.readings:
            if (reading.candidate, reading.split) == (candidate, split):
                return reading
        raise KeyError((candidate, split))
