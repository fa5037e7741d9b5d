"""A kernel that does everything and notes what a power cut could undo of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from shoestring.base.disk.kernel import Kernel

ROOT = 0
"""The identity of the scenario's own directory."""


@dataclass(frozen=True)
class Op:
    """One thing that happened; which fields mean something depends on `kind`.

    Args:
        kind: "create", "mkdir", "write", "truncate", "sync", "rename", "link", "unlink" or "done".
        node: identity of the file or directory that it was done to.
        directory, name: of the entry that was made, renamed or removed; the name alone of what was synced.
        to_directory, to_name: where a rename led.
        offset, data: of a write; the length is the offset of a truncation.
        label: of a "done".
    """

    kind: str
    node: int = -1
    directory: int = -1
    name: str = ""
    to_directory: int = -1
    to_name: str = ""
    offset: int = 0
    data: bytes = b""
    label: str = ""

    def __str__(self) -> str:
        words = [self.kind, f"#{self.node}" if self.node >= 0 else "", self.name, self.to_name, self.label]
        if self.kind in ("write", "truncate"):
            words.append(f"{len(self.data)} bytes at {self.offset}")
        return " ".join(word for word in words if word)


Tree = dict[str, bytes | None]
"""What a directory holds: relative names to bytes, or to None for a directory."""


def tree_of(root: Path) -> Tree:
    """Everything below a directory. Raises ValueError for what is neither a file nor a directory."""
    found: Tree = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise ValueError(f"{path} is neither a file nor a directory")
        found[str(path.relative_to(root))] = None if path.is_dir() else path.read_bytes()
    return found


class Recorder(Kernel):
    """Works below a directory, and logs.

    Args:
        root: of the scenario; what is done outside of it is not noted.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.log = Path(root), []
        self.start = tree_of(self.root)
        self._entries: dict[int, dict[str, int]] = {ROOT: {}}
        self._open: dict[int, tuple[int, bool, str]] = {}
        self._count = ROOT
        for name, data in self.start.items():
            directory, last = self._place(self.root / name)
            node = self._new(directory, last)
            if data is None:
                self._entries[node] = {}

    def done(self, label: str) -> None:
        """The scenario says: from here on this stays."""
        self.log.append(Op("done", label=label))

    def _new(self, directory: int, name: str) -> int:
        self._count += 1
        self._entries[directory][name] = self._count
        return self._count

    def _inside(self, path: Path) -> bool:
        return self.root in Path(path).absolute().parents

    def _place(self, path: Path) -> tuple[int, str]:
        """The directory's identity, and the name in it."""
        parts = Path(path).absolute().relative_to(self.root).parts
        node = ROOT
        for part in parts[:-1]:
            node = self._entries[node][part]
        return node, parts[-1]

    def _node(self, path: Path) -> int:
        if Path(path).absolute() == self.root:
            return ROOT
        directory, name = self._place(path)
        return self._entries[directory][name]

    def open(self, path: Path, flags: int, mode: int = 0o666) -> int:
        new = not os.path.lexists(path)
        descriptor = super().open(path, flags, mode)
        if Path(path).absolute() == self.root or self._inside(path):
            if new:
                directory, name = self._place(path)
                self.log.append(Op("create", self._new(directory, name), directory, name))
            node = self._node(path)
            if flags & os.O_TRUNC and not new:
                self.log.append(Op("truncate", node))
            self._open[descriptor] = (node, bool(flags & os.O_APPEND), Path(path).name)
        return descriptor

    def close(self, descriptor: int) -> None:
        self._open.pop(descriptor, None)
        super().close(descriptor)

    def write(self, descriptor: int, data: memoryview, offset: int) -> int:
        found = self._open.get(descriptor)
        if found is not None and found[1]:
            offset = os.fstat(descriptor).st_size
        taken = super().write(descriptor, data, offset)
        if found is not None and taken:
            self.log.append(Op("write", found[0], offset=offset, data=bytes(data[:taken])))
        return taken

    def truncate(self, descriptor: int, size: int) -> None:
        super().truncate(descriptor, size)
        if descriptor in self._open:
            self.log.append(Op("truncate", self._open[descriptor][0], offset=size))

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        if descriptor in self._open:
            node, _, name = self._open[descriptor]
            self.log.append(Op("sync", node, name=name))

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        if self._inside(source) != self._inside(target):
            raise ValueError(f"{source} to {target} crosses the edge of the scenario")
        if self._inside(source):
            old, name = self._place(source)
            new, to_name = self._place(target)
            node = self._entries[old].pop(name)
            self._entries[new][to_name] = node
            self.log.append(Op("rename", node, old, name, new, to_name))

    def link(self, source: Path, target: Path) -> None:
        super().link(source, target)
        if self._inside(target):
            directory, name = self._place(target)
            node = self._node(source)
            self._entries[directory][name] = node
            self.log.append(Op("link", node, directory, name))

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        if self._inside(path):
            directory, name = self._place(path)
            self.log.append(Op("unlink", self._entries[directory].pop(name), directory, name))

    def mkdir(self, path: Path) -> None:
        super().mkdir(path)
        if self._inside(path):
            directory, name = self._place(path)
            node = self._new(directory, name)
            self._entries[node] = {}
            self.log.append(Op("mkdir", node, directory, name))
