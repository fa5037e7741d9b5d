"""What the original model answered, kept in a file of bounded size while candidates are held against it.

The file has no name and is gone with the last process that has it open. Only sums ever travel between processes.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from shoestring.base.errors import DataError, StorageError
from shoestring.base.units import format_bytes
from shoestring.runtimes.guard_tensors import TensorFile

if TYPE_CHECKING:
    from pathlib import Path

    from shoestring.runtimes.llamacpp.rows import Floats, Words

MAX_REFERENCE_BYTES = 8 * 1024**3
"""About 80,000 tokens of a vocabulary of 49,152: three times what a certificate takes."""
_ROW_HEAD_BYTES = 8 + 8  # largest and step (float32), likeliest token (int64)


@dataclass(frozen=True)
class Run:
    """Where the answers to one run of tokens lie.

    Args:
        tokens: of the run.
        lead: tokens at its start that are context only.
        place: of its first byte.
    """

    tokens: tuple[int, ...]
    lead: int
    place: int

    @property
    def rows(self) -> int:
        """Tokens that are scored: each but the last has a next one."""
        return len(self.tokens) - 1 - self.lead


@dataclass
class Reference:
    """The answers of one original to many runs.

    Args:
        vocabulary: of the models, tokens.
        folder: for the file; None: where temporary files go.
        max_bytes: of the file.
    """

    vocabulary: int
    folder: Path | None = None
    max_bytes: int = MAX_REFERENCE_BYTES
    runs: list[Run] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._end = 0
        try:
            self._stream = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115 - closed in `close`
        except OSError as error:
            raise StorageError(f"no temporary file can be made: {error.strerror}", hint="set TMPDIR") from error

    @property
    def descriptor(self) -> int:
        """Of the file, for the processes that read and write it."""
        return self._stream.fileno()

    def place_for(self, tokens: tuple[int, ...], lead: int) -> Run:
        """Room for one more run.

        Raises:
            DataError: the run is too short to score anything.
            StorageError: the file would grow beyond its limit.
        """
        check_run(tokens, lead)
        run = Run(tokens, lead, self._end)
        end = self._end + run.rows * row_bytes(self.vocabulary)
        if end > self.max_bytes:
            raise StorageError(
                f"the original's answers to {len(self.runs) + 1} runs take {format_bytes(end)}, "
                f"more than the limit of {format_bytes(self.max_bytes)}",
                hint="take fewer or shorter blocks of text",
            )
        self._end = end
        return run

    def close(self) -> None:
        """Give the file back; a second call does nothing."""
        self._stream.close()

    def __enter__(self) -> Reference:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def row_bytes(vocabulary: int) -> int:
    """What the answer after one token takes in the file."""
    return 2 * vocabulary + _ROW_HEAD_BYTES


def check_run(tokens: tuple[int, ...], lead: int) -> None:
    """Raise DataError unless at least one token of the run has a next one and is no lead."""
    if lead < 0 or len(tokens) - 1 - lead < 1:
        raise DataError(
            f"a run of {len(tokens)} tokens with a lead of {lead} scores nothing",
            hint="a run needs two tokens more than its lead",
        )


class Shelf:
    """The answers to one run in the file, as a process reads and writes them.

    Args:
        descriptor: of the file.
        place: of the run's first byte.
        rows: of the run.
        vocabulary: of the models.
    """

    def __init__(self, descriptor: int, place: int, rows: int, vocabulary: int) -> None:
        self._file = TensorFile(descriptor)
        self._frames, self._tops = place, place + 8 * rows
        self._steps = place + _ROW_HEAD_BYTES * rows
        self._vocabulary = vocabulary

    def put(self, row: int, steps: Words, frame: Floats) -> None:
        """Keep packed rows from `row` on. The likeliest token is the first that is no step below the largest.

        Raises:
            StorageError: the disk refuses.
        """
        top = steps.argmin(axis=1)
        try:
            self._file.write_at(self._frames + 8 * row, np.ascontiguousarray(frame))
            self._file.write_at(self._tops + 8 * row, top)
            self._file.write_at(self._steps + 2 * self._vocabulary * row, np.ascontiguousarray(steps))
        except OSError as error:
            raise StorageError(
                f"the original's answers cannot be kept: {error.strerror}", hint="make room where TMPDIR is"
            ) from error

    def take(self, row: int, count: int) -> tuple[Words, Floats, np.ndarray[tuple[int], np.dtype[np.int64]]]:
        """Packed rows from `row` on, with their frames and likeliest tokens."""
        steps = np.empty((count, self._vocabulary), np.uint16)
        frame, top = np.empty((count, 2), np.float32), np.empty(count, np.int64)
        self._file.read_at(self._frames + 8 * row, frame)
        self._file.read_at(self._tops + 8 * row, top)
        self._file.read_at(self._steps + 2 * self._vocabulary * row, steps)
        return steps, frame, top


__all__ = ["MAX_REFERENCE_BYTES", "Reference", "Run", "Shelf", "check_run", "row_bytes"]
