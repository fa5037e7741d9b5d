"""What a converted TFLite file says of its ends: an entry of its metadata, which the adapter reads.

TFLite's images have their channels last; the graph a file was made of may have them elsewhere. The entry holds, for
each input and output in the file's order, the graph's name and where each axis of the graph's tensor lies.
"""

from __future__ import annotations

from dataclasses import dataclass

from shoestring.base import canonical
from shoestring.base.errors import EngineError

METADATA = "shoestring"
"""Name of the metadata entry."""

_VERSION = 1


@dataclass(frozen=True)
class LitertPort:
    """One input or output.

    Args:
        name: in the graph.
        layout: the graph's axes in the order of the file's memory; (0, 2, 3, 1) is N, H, W, C of a graph's N, C, H, W.
        free_batch: the graph takes any number of examples along its first axis; the file takes them one by one.
    """

    name: str
    layout: tuple[int, ...]
    free_batch: bool

    def shape(self, sides: tuple[int, ...]) -> tuple[int | None, ...]:
        """The graph's shape of a tensor that has these sides in memory."""
        own = tuple(sides[self.layout.index(axis)] for axis in range(len(self.layout)))
        return (None, *own[1:]) if self.free_batch else own

    def back(self) -> tuple[int, ...]:
        """The permutation from memory to the graph's order."""
        return tuple(self.layout.index(axis) for axis in range(len(self.layout)))


@dataclass(frozen=True)
class _Entry:
    version: int
    inputs: tuple[LitertPort, ...]
    outputs: tuple[LitertPort, ...]


def write_ports(inputs: tuple[LitertPort, ...], outputs: tuple[LitertPort, ...]) -> bytes:
    """The bytes of the entry."""
    return canonical.encode(_Entry(_VERSION, inputs, outputs))


def read_ports(data: bytes) -> tuple[tuple[LitertPort, ...], tuple[LitertPort, ...]]:
    """Inputs and outputs that an entry names.

    Raises:
        EngineError: it is damaged, or of another version.
    """
    entry = canonical.decode(data, _Entry, _refused)
    if entry.version != _VERSION:
        raise _refused(f"its version is {entry.version}, {_VERSION} is known")
    for port in (*entry.inputs, *entry.outputs):
        if sorted(port.layout) != list(range(len(port.layout))) or (port.free_batch and not port.layout):
            raise _refused(f"{port.name!r} has the layout {port.layout}")
    return entry.inputs, entry.outputs


def _refused(reason: str) -> EngineError:
    return EngineError(f"the file's entry {METADATA!r} cannot be read: {reason}", hint="convert the model again")


__all__ = ["METADATA", "LitertPort", "read_ports", "write_ports"]
