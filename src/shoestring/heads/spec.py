"""What a user says of a detection head, in a TOML file or by the name of a known one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base.canonical import convert
from shoestring.base.errors import DataError, UsageError
from shoestring.base.toml import read_toml
from shoestring.domain.head import Head, Part
from shoestring.heads.check import head_problems

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SPEC_BYTES = 64 * 1024  # nine anchors take 200 bytes
KNOWN = Path(__file__).parent / "known"


@dataclass(frozen=True)
class HeadSpec:
    """A head before the shapes of the model's outputs are known; its fields are the keys of the file.

    Args:
        kind, classes, anchors, background, threshold, overlap: as in `domain.head.Head`.
        outputs: names of the model's outputs in the order of `anchors`; empty takes all in the model's order.
    """

    kind: str
    classes: int
    outputs: tuple[str, ...] = ()
    anchors: tuple[tuple[tuple[float, float], ...], ...] = ()
    background: bool = False
    threshold: float = Head.threshold
    overlap: float = Head.overlap


def known_heads() -> tuple[str, ...]:
    """Names that `find_head` knows."""
    return tuple(sorted(path.stem for path in KNOWN.glob("*.toml")))


def find_head(wanted: str | Path) -> HeadSpec:
    """The head of that name, or in that file.

    Raises:
        UsageError: neither a known name nor a file.
        DataError: as `load_head`.
    """
    if str(wanted) in known_heads():
        return load_head(KNOWN / f"{wanted}.toml")
    path = Path(wanted)
    if not path.is_file():
        raise UsageError(
            f"there is no detection head {str(wanted)!r}", hint=f"a TOML file, or one of: {', '.join(known_heads())}"
        )
    return load_head(path)


def load_head(path: Path) -> HeadSpec:
    """Read a `head.toml`, whose keys are the fields of HeadSpec.

    Raises:
        DataError: it cannot be read, is not TOML, or has an unknown key or a value of the wrong type.
    """
    hint = "the keys are: " + ", ".join(field.name for field in dataclasses.fields(HeadSpec))

    def error(message: str) -> DataError:
        return DataError(f"detection head {path}: {message}", hint=hint)

    return convert(read_toml(path, MAX_SPEC_BYTES, error), HeadSpec, error)


def head_of(spec: HeadSpec, shapes: Mapping[str, tuple[int, ...]]) -> Head:
    """The head of a model.

    Args:
        spec: what was said of it.
        shapes: of the model's outputs without the batch, in its order.

    Raises:
        DataError: they do not go together; the message holds every rule that is broken.
    """
    names = spec.outputs or tuple(shapes)
    there = f"the model's outputs are {', '.join(f'{name} {shape}' for name, shape in shapes.items())}"
    unknown = [name for name in names if name not in shapes]
    if unknown:
        raise DataError(f"detection head: there is no output {unknown[0]!r}", hint=there)
    left = [name for name in shapes if name not in names]
    if left:
        raise DataError(
            f"detection head: output {left[0]!r} is not named", hint="name all outputs, or export the model without it"
        )
    head = Head(
        kind=spec.kind,
        parts=tuple(Part(name, shapes[name]) for name in names),
        classes=spec.classes,
        anchors=spec.anchors,
        background=spec.background,
        threshold=spec.threshold,
        overlap=spec.overlap,
    )
    problems = head_problems(head)
    if problems:
        raise DataError(f"detection head: {'; '.join(problems)}", hint=there)
    return head
