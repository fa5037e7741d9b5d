"""What every engine offers, and the pure tasks it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from shoestring.base.canonical import sha256_hex

RETRIES = 3
"""How often a task is given to another worker after the one that had it was lost."""


@dataclass(frozen=True)
class Blob:
    """Bytes that a task reads, named by their hash, so that an engine carries them once for many tasks.

    Args:
        data: the bytes, or the file that holds them.
        sha256: of the bytes.
    """

    data: bytes | Path
    sha256: str

    @staticmethod
    def of(data: bytes) -> Blob:
        return Blob(data, sha256_hex(data))

    def read(self) -> bytes:
        return self.data if isinstance(self.data, bytes) else self.data.read_bytes()


@dataclass(frozen=True)
class Task:
    """A pure function called by name: the same arguments and blobs give the same bytes on every worker.

    Args:
        target: `shoestring.module:function`, called as `function(arguments, {name: path of the blob})`; returns bytes.
        arguments: plain JSON values.
        blobs: larger inputs by name.
    """

    target: str
    arguments: Mapping[str, Any]
    blobs: Mapping[str, Blob] = field(default_factory=dict)


class Engine(Protocol):
    """Runs tasks."""

    name: str

    @property
    def workers(self) -> int:
        """Tasks that run at a time."""
        ...

    def map(self, tasks: Sequence[Task], done: Callable[[int, int], None]) -> list[bytes]:
        """Run all tasks.

        Args:
            tasks: independent of each other.
            done: called with (finished, all) as tasks finish.

        Returns:
            What each task returned, in the order of `tasks`, whatever the order they finished in.

        Raises:
            ShoestringError: the error that a task raised; of several, that of the first task.
            ChildCrashedError: a task's worker was lost RETRIES + 1 times, or the cluster itself.
        """
        ...

    def close(self) -> None:
        """Let go of the workers; may be called twice."""
        ...

    def __enter__(self) -> Engine: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
