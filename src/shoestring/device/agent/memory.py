"""What the agent must not forget: the newest release that it looked at, of each group."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from shoestring.base import canonical, disk, opens
from shoestring.base.errors import DataError
from shoestring.device.agent.policy import Seen

if TYPE_CHECKING:
    from pathlib import Path

MEMORY_FORMAT = 1
MAX_GROUPS = 32
"""That one device may have been in; more is somebody who tries names."""
MAX_MEMORY_BYTES = 64 * 1024
"""A group's name has at most 100 characters."""
FILE = "agent.json"


@dataclass(frozen=True)
class Memory:
    """Closed schema, canonical bytes.

    Args:
        format: MEMORY_FORMAT.
        seen: newest release by group.
    """

    format: int = MEMORY_FORMAT
    seen: dict[str, Seen] = field(default_factory=dict)


def read_memory(folder: Path) -> tuple[Memory, str]:
    """What is remembered, and what is wrong with it, for people; nothing where all is well.

    A damaged file is as none: the slots hold the largest counter that was ever activated, so an older release is still
    refused, if later.
    """
    path = folder / FILE
    if not path.exists():
        return Memory(), ""
    try:
        with opens.open_within(folder, FILE) as stream:
            data = stream.read(MAX_MEMORY_BYTES + 1)
        memory = canonical.decode(data, Memory, DataError)
    except (DataError, OSError) as error:
        return Memory(), f"{path} is damaged and begun anew: {error}"
    if memory.format != MEMORY_FORMAT:
        return Memory(), f"{path} has the format {memory.format} and is begun anew, this version knows {MEMORY_FORMAT}"
    return memory, ""


def remember(folder: Path, memory: Memory, group: str, seen: Seen) -> Memory:
    """Keep what was seen, on the disk when this returns. Raises StorageError."""
    if memory.seen.get(group) == seen:
        return memory
    others = {name: held for name, held in memory.seen.items() if name != group}
    while len(others) >= MAX_GROUPS:
        del others[min(others, key=lambda name: others[name].counter)]
    memory = replace(memory, seen={**others, group: seen})
    disk.write_bytes(folder / FILE, canonical.encode(memory))
    return memory


__all__ = ["FILE", "Memory", "read_memory", "remember"]
