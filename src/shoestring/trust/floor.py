"""A time that is not before: what a board without a clock may still know.

A device's reference time is the later of its clock and its floor. The floor goes up, never down, and only by what was
signed (a release says when it was): a clock at 1970 cannot make old metadata fresh again, a clock ten years ahead makes
metadata stale for as long as it is wrong and not a second longer, and no server's word of the time is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shoestring.base import disk
from shoestring.base.canonical import decode, encode
from shoestring.base.errors import DataError
from shoestring.base.opens import open_within

FLOOR_FORMAT = 1
MAX_FLOOR_BYTES = 200


@dataclass(frozen=True)
class _Kept:
    format: int
    floor_s: int


class Floor:
    """The floor of one device, on its disk.

    Args:
        path: of the file; its directory exists. A file that is missing or damaged is a floor of 0: it comes back with
            the next release.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.value_s = self._read()

    def reference_s(self, clock_s: float) -> float:
        """The later of the floor and what the clock says, s since 1970; NaN is no clock at all."""
        return max(float(self.value_s), clock_s) if clock_s == clock_s else float(self.value_s)

    def raise_to(self, signed_s: int) -> None:
        """Never before `signed_s` again: a time that was signed, s since 1970. Raises StorageError."""
        if signed_s > self.value_s:
            disk.write_bytes(self.path, encode(_Kept(FLOOR_FORMAT, signed_s)))
            self.value_s = signed_s

    def _read(self) -> int:
        try:
            with open_within(self.path.parent, self.path.name) as stream:
                kept = decode(stream.read(MAX_FLOOR_BYTES), _Kept, DataError)
        except (DataError, OSError):
            return 0
        return kept.floor_s if kept.format == FLOOR_FORMAT and kept.floor_s >= 0 else 0
