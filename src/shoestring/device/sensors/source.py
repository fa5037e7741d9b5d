"""A sensor that was found: what it fills, what people call it, and how it is read. No judgement here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

MOST_CHARACTERS = 4096
"""No file of sysfs says more than a page (Linux, Documentation/filesystems/sysfs.rst)."""


class GarbledError(ValueError):
    """A sensor spoke, but not in numbers. It stays inside this room.

    Args:
        said: what it said.
    """

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said[:60]


@dataclass(frozen=True)
class Source:
    """One sensor.

    Args:
        field: of `Readings` that it fills, or `bits` for the flags of a Raspberry Pi's firmware, or `load`.
        name: for people.
        read: one look, in the field's unit; None is "nothing to say yet". It raises OSError where the sensor is gone,
            `GarbledError` where it speaks nonsense, and it may block.
    """

    field: str
    name: str
    read: Callable[[], float | None]


def text_of(path: Path) -> str:
    """What a sensor's file says now.

    Raises:
        OSError: it is gone, off, or not for us.
    """
    with path.open(errors="replace") as stream:
        return stream.read(MOST_CHARACTERS).strip("\0\n ")


def number_of(path: Path) -> float:
    """The whole number that a sensor's file holds.

    Raises:
        OSError: as above.
        GarbledError: it holds something else.
    """
    said = text_of(path)
    try:
        return float(int(said))
    except ValueError as error:
        raise GarbledError(said) from error


def milli_of(path: Path) -> float:
    """A file in thousandths, as sysfs gives temperatures, volts and amperes. Raises as `number_of`."""
    return number_of(path) / 1000


def word_of(path: Path) -> str:
    """What a file says, or nothing: for names and labels, which a sensor may lack."""
    try:
        return text_of(path)
    except OSError:
        return ""


def folders(parent: Path, pattern: str) -> Sequence[Path]:
    """What is there of a class of devices, by name."""
    try:
        return sorted(parent.glob(pattern)) if parent.is_dir() else []
    except OSError:
        return []


__all__ = ["MOST_CHARACTERS", "GarbledError", "Source", "folders", "milli_of", "number_of", "text_of", "word_of"]
