"""The first thing read from a bundle."""

from __future__ import annotations

from dataclasses import dataclass, field

from shoestring.base.canonical import WHEN_SET
from shoestring.base.errors import UsageError
from shoestring.domain.budget import Budget
from shoestring.domain.head import Head
from shoestring.domain.ladder import Ladder
from shoestring.domain.model import TensorSpec
from shoestring.domain.preprocess import Preprocess
from shoestring.domain.text import Generation, TextInput

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


STUDENT_MARK = ":"
"""Between the name of a student and that of its candidate."""


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
        inputs: hash of a .npy of uint8 pixels (n, height, width, channels), after resize and crop, colours in order; in
            a bundle for text, of a `domain.text.GoldenTexts`.
        outputs: for each rung, hash of a .npy of its float32 outputs (n, classes); of a model that writes text
            (n, tokens), log-probabilities.
        tolerance: for each rung, largest allowed absolute difference of an output.
    """

    inputs: str
    outputs: dict[str, str]
    tolerance: dict[str, float]


@dataclass(frozen=True)
class Student:
    """Another model for the same images and classes, whose candidates stand beside the original's.

    Args:
        name: candidates of it are called `NAME:...`.
        source_sha256: of the model the user gave.
        input: of its candidates.
        output: likewise, as many classes as the original has.
        preprocess: the original's, at this model's size: it starts from the pixels that the original's gives.
    """

    name: str
    source_sha256: str
    input: TensorSpec
    output: TensorSpec
    preprocess: Preprocess


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
        preprocess: from image to input; null in a bundle for text. `pixels` where images are meant.
        labels: class names in the model's order; empty when unknown.
        budget: that the ladder was made under.
        ladder: rungs name their model file by artefact_sha256.
        golden: inputs and expected outputs.
        evidence: hash of the canonical JSON of an Evidence.
        blobs: every file, sorted by hash; nothing else is in the bundle.
        students: other models that candidates were made from.
        head: of a detector, how the one output of every rung is read; None for a classifier.
        bom: hash of the bill of materials; None in bundles from before there was one.
        text: of an encoder of text, how a text becomes its input; None of any other.
        generation: of a model that writes text; None of any other.
    """

    format: int
    name: str
    created_by: str
    source_sha256: str
    input: TensorSpec
    output: TensorSpec
    preprocess: Preprocess | None
    labels: tuple[str, ...]
    budget: Budget
    ladder: Ladder
    golden: Golden
    evidence: str
    blobs: tuple[Blob, ...]
    students: tuple[Student, ...] = ()
    head: Head | None = field(default=None, metadata=WHEN_SET)
    bom: str | None = field(default=None, metadata=WHEN_SET)
    text: TextInput | None = field(default=None, metadata=WHEN_SET)
    generation: Generation | None = field(default=None, metadata=WHEN_SET)

    @property
    def pixels(self) -> Preprocess:
        """From image to input, of a bundle for images.

        Raises:
            UsageError: it is for text.
        """
        if self.preprocess is None:
            raise UsageError(
                f"{self.name!r} is a bundle for text, and an image was to be its input",
                hint='shoestring run text.shoe "a text", or shoestring chat and serve for a model that writes',
            )
        return self.preprocess

    def student(self, rung: str) -> Student | None:
        """The student that a candidate of this name was made from; None for the original. Raises KeyError."""
        name = student_name(rung)
        if name is None:
            return None
        for student in self.students:
            if student.name == name:
                return student
        raise KeyError(name)


def student_name(rung: str) -> str | None:
    """`small:int8@native` -> `small`; None for candidates of the original."""
    name, colon, _ = rung.partition(STUDENT_MARK)
    return name if colon else None
