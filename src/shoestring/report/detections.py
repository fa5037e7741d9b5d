"""What the page says of a detector: how its boxes are read, and which objects each rung loses and invents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoestring.domain.detection import Detections, Differences
    from shoestring.domain.evidence import Evidence
    from shoestring.domain.head import Head
    from shoestring.domain.manifest import Manifest


@dataclass(frozen=True)
class Row:
    """One rung on the certification split.

    Args:
        name: of the rung.
        images: of the split on which it sees what the original sees.
        lost, invented: confident objects, over all images.
        overlap: mean intersection over union of the objects that were not lost; None where there are none.
    """

    name: str
    images: int
    lost: int
    invented: int
    overlap: float | None


@dataclass(frozen=True)
class Detector:
    """Of the whole bundle.

    Args:
        head: how a flat output is read.
        kept: rule and counts.
        images: of the certification split.
        pictures: of them in which the original sees a confident object.
        objects: confident ones that it sees in all of them.
        rows: of the rungs.
    """

    head: Head
    kept: Detections
    images: int
    pictures: int
    objects: int
    rows: tuple[Row, ...]


def detector_facts(manifest: Manifest, evidence: Evidence) -> Detector | None:
    """The figures of a detector; None for a classifier."""
    kept, head = evidence.detections, manifest.head
    if kept is None or head is None:
        return None
    return Detector(
        head=head,
        kept=kept,
        images=len(kept.confident),
        pictures=sum(count > 0 for count in kept.confident),
        objects=sum(kept.confident),
        rows=tuple(_row(kept, one) for one in kept.differences),
    )


def _row(kept: Detections, one: Differences) -> Row:
    lost, invented = sum(one.lost), sum(one.invented)
    alike = sum(not gone and not more for gone, more in zip(one.lost, one.invented, strict=True))
    return Row(one.candidate, alike, lost, invented, one.overlap if sum(kept.confident) > lost else None)


__all__ = ["Detector", "Row", "detector_facts"]
