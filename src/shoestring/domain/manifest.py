"""The first thing read from a bundle."""

from __future__ import annotations

from dataclasses import dataclass

from shoestring.domain.budget import Budget
from shoestring.domain.ladder import Ladder
from shoestring.domain.model import TensorSpec
from shoestring.domain.preprocess import Preprocess

FORMAT = 2  # 1 had no compressed blobs; no released version wrote it


@dataclass(frozen=True)
class Stored:
    """The compressed form of a blob; see `bundle.stored` for the encodings.

    Args:
        encoding: `deflate` or `planes`.
        size_bytes: in the file.
        sha256: of these bytes.
    """

    encoding: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Blob:
    """A file in the bundle, named by its own hash.

    Args:
        sha256: of the content.
        size_bytes: of the content.
        stored: how it lies in the bundle; None: as it is. `pack` decides and fills it in.
    """

    sha256: str
    size_bytes: int
    stored: Stored | None = None


@dataclass(frozen=True)
class Golden:
    """What a device replays before it trusts the bundle.

    Args:
        inputs: hash of a .npy of uint8 pixels (n, height, width, channels), after resize and crop, colours in order.
        outputs: for each rung, hash of a .npy of its float32 outputs (n, classes).
        tolerance: for each rung, largest allowed absolute difference of an output.
    """

    inputs: str
    outputs: dict[str, str]
    tolerance: dict[str, float]


@dataclass(frozen=True)
class Manifest:
    """Closed schema: `base.canonical` refuses any other key.

    Args:
        format: FORMAT.
        name: of the model, for people.
        created_by: project and version.
        source_sha256: of the model the user gave.
        input: of every rung.
        output: of every rung.
        preprocess: from image to input.
        labels: class names in the model's order; empty when unknown.
        budget: that the ladder was made under.
        ladder: rungs name their model file by artefact_sha256.
        golden: inputs and expected outputs.
        evidence: hash of the canonical JSON of an Evidence.
        blobs: every file, sorted by hash; nothing else is in the bundle.
    """

    format: int
    name: str
    created_by: str
    source_sha256: str
    input: TensorSpec
    output: TensorSpec
    preprocess: Preprocess
    labels: tuple[str, ...]
    budget: Budget
    ladder: Ladder
    golden: Golden
    evidence: str
    blobs: tuple[Blob, ...]
