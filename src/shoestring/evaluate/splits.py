"""Three disjoint splits by content: to calibrate on, to choose on, to certify on.

Choosing and certifying on the same images proves nothing, since the choice has already fitted them. Membership hangs on
the seed and an image's own hash, so it cannot be steered by file names or order.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from shoestring.base.errors import DataError

MIN_IMAGES = 48  # 16 to calibrate on, 12 to choose on and 20 to certify on; below it no split says anything
CALIBRATION_FRACTION = 0.10  # ranges of activations settle quickly; labels are worth more elsewhere
MIN_CALIBRATION = 16  # fewer images miss the tails that set the ranges
MAX_CALIBRATION = 512  # more change the ranges no further
SELECTION_FRACTION = 0.25  # enough to rank candidates; the margin of the certificate needs the rest
MAX_SELECTION = 2_000  # a standard error near 1 point for unpaired, far less for paired outcomes


class Divisible(Protocol):
    """What is divided: images or texts, each named by its hash, all with a label or none."""

    @property
    def hashes(self) -> tuple[str, ...]: ...

    @property
    def labels(self) -> tuple[int, ...] | None: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Splits:
    """Indices into the data set, ascending; together they are all of it, and no two overlap."""

    calibration: tuple[int, ...]
    selection: tuple[int, ...]
    certification: tuple[int, ...]


def split(dataset: Divisible, *, seed: int = 0, what: str = "images") -> Splits:
    """Divide a data set, each class in proportion when labels are known.

    Images are put in one order of which every stretch holds each class in proportion, and the order is cut twice.
    Within its class of m images, an image of rank r (by its hash) gets the key (r + u) / m, with u in [0, 1) from the
    same hash. Keys are uniform for every image whatever the size of its class, so each image has the same chance of
    certification, and rare classes are not pushed to one side (systematic sampling with a random start in each stratum;
    Cochran, "Sampling Techniques", 3rd ed., chapter 8).

    Args:
        dataset: at least MIN_IMAGES distinct images.
        seed: another seed gives other splits.
        what: is divided, for an error's words.

    Raises:
        DataError: fewer than MIN_IMAGES images.
    """
    n = len(dataset)
    if n < MIN_IMAGES:
        raise DataError(
            f"{n} different {what} are too few for three splits, at least {MIN_IMAGES} are needed",
            hint=f"add {what}; a certificate of 1 pt takes about a thousand",
        )
    drawn = [_draw(seed, sha256) for sha256 in dataset.hashes]
    strata: dict[int, list[int]] = {}
    for index in range(n):
        strata.setdefault(0 if dataset.labels is None else dataset.labels[index], []).append(index)
    keys = [0.0] * n
    for members in strata.values():
        members.sort(key=lambda index: drawn[index])
        for rank, index in enumerate(members):
            keys[index] = (rank + drawn[index][1]) / len(members)
    order = sorted(range(n), key=lambda index: (keys[index], drawn[index]))
    calibration = min(MAX_CALIBRATION, max(MIN_CALIBRATION, round(CALIBRATION_FRACTION * n)))
    selection = min(MAX_SELECTION, round(SELECTION_FRACTION * n))
    return Splits(
        calibration=tuple(sorted(order[:calibration])),
        selection=tuple(sorted(order[calibration : calibration + selection])),
        certification=tuple(sorted(order[calibration + selection :])),
    )


def _draw(seed: int, sha256: str) -> tuple[int, float]:
    """A rank and a number in [0, 1), independent of each other and fixed by seed and content."""
    digest = hashlib.sha256(f"{seed}:{sha256}".encode()).digest()
    return int.from_bytes(digest[:16], "big"), int.from_bytes(digest[16:22], "big") / 2**48
