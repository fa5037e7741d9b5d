"""What may be on the medium after a power cut: a file system that promises what POSIX promises, and nothing else.

The rules, all of them stricter than ext4, xfs, btrfs or f2fs with their defaults:

1. Bytes are safe after an fsync of their file, and only then. Bytes that were not synced may be lost, there, there up
   to some place, zero, rubbish, or some blocks this way and some that way; the file has some length that it once had,
   or one on the way there.
2. A name (made, renamed, removed) is safe after an fsync of its directory, and only then. An fsync of a file saves none
   of its names, and one of a directory none of the bytes below it.
3. Names that were not synced are saved in any order, each or not: a rename may be there before the bytes of its file.
4. A rename within a directory is one step. One between two is two: the new name never comes after the loss of the old
   one by itself, but an fsync of the old directory alone saves the loss alone.

(Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014; rule 1's "zero" is ext4's delayed allocation, and
its "rubbish" ext4 with data=writeback.)
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from power_log import ROOT, Op, Tree

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

BLOCK_BYTES = 512
SMALL_BYTES = 4 * BLOCK_BYTES  # up to here any byte may be this way or that, above it whole blocks
MIXES = 2  # of blocks that are there and blocks that are not, of each file
ALL_SUBSETS = 8  # changes of names: 256 subsets of them are looked at one by one, of more only as many by chance


@dataclass(eq=False)
class Change:
    """Entries that come to the medium together.

    Args:
        entries: of (directory, name), to whom they lead, None for nobody.
        needs: a change that by itself comes before this one.
    """

    entries: dict[tuple[int, str], int | None]
    needs: Change | None = None


@dataclass
class Medium:
    """What is safe, and what is under way."""

    names: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT: {}})
    data: dict[int, bytes] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    writes: dict[int, list[Op]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, start: Tree) -> Medium:
        """All of it safe; identities in the order of the recorder."""
        medium = cls()
        for node, (name, data) in enumerate(start.items(), ROOT + 1):
            *folders, last = name.split("/")
            place = ROOT
            for folder in folders:
                place = medium.names[place][folder]
            medium.names[place][last] = node
            if data is None:
                medium.names[node] = {}
            else:
                medium.data[node] = data
        return medium

    def apply(self, op: Op) -> None:
        """One more thing happened."""
        if op.kind in ("create", "mkdir"):
            if op.kind == "mkdir":
                self.names[op.node] = {}
            else:
                self.data[op.node] = b""
            self.changes.append(Change({(op.directory, op.name): op.node}))
        elif op.kind == "link":
            self.changes.append(Change({(op.directory, op.name): op.node}))
        elif op.kind in ("write", "truncate"):
            self.writes.setdefault(op.node, []).append(op)
        elif op.kind == "unlink":
            self.changes.append(Change({(op.directory, op.name): None}))
        elif op.kind == "rename":
            gone: dict[tuple[int, str], int | None] = {(op.directory, op.name): None}
            come: dict[tuple[int, str], int | None] = {(op.to_directory, op.to_name): op.node}
            if op.directory == op.to_directory:
                self.changes.append(Change({**gone, **come}))
            else:
                self.changes.append(Change(come))
                self.changes.append(Change(gone, needs=self.changes[-1]))
        elif op.kind == "sync":
            self._sync(op.node)
        else:
            self.done.append(op.label)

    def idle(self, node: int) -> bool:
        """Whether a sync of it would save nothing."""
        return not self.writes.get(node) and all(
            directory != node for change in self.changes for directory, _ in change.entries
        )

    def _sync(self, node: int) -> None:
        for write in self.writes.pop(node, ()):
            self.data[node] = written(self.data[node], write)
        kept = []
        for change in self.changes:
            if any(directory == node for directory, _ in change.entries):
                _enter(self.names, change)
            else:
                kept.append(change)
        self.changes = kept

    def now(self) -> Tree:
        """What a reader sees before any cut: all of it."""
        names = {node: dict(entries) for node, entries in self.names.items()}
        for change in self.changes:
            _enter(names, change)
        data = dict(self.data)
        for node, writes in self.writes.items():
            for write in writes:
                data[node] = written(data[node], write)
        return _tree(names, data)

    def after_cut(self, limit: int, chance: random.Random, mixes: int = MIXES) -> Iterator[Tree]:
        """States after a cut here: all when they are at most `limit`, else so many by chance, the plainest first."""
        subsets = list(self._subsets(chance))
        nodes = list(self.writes)
        forms = [forms_of(self.data[node], self.writes[node], chance, mixes) for node in nodes]
        total = len(subsets)
        for form in forms:
            total *= len(form)
        if total <= limit:
            picks: Iterator[tuple[list[Change], Sequence[bytes]]] = itertools.product(
                subsets, itertools.product(*forms)
            )
        else:
            plain = [(subset, [form[end] for form in forms]) for subset in (subsets[0], subsets[-1]) for end in (0, -1)]
            random_ones = (
                (chance.choice(subsets), [chance.choice(form) for form in forms]) for _ in range(limit - len(plain))
            )
            picks = itertools.chain(plain, random_ones)
        for subset, contents in picks:
            names = {node: dict(entries) for node, entries in self.names.items()}
            for change in subset:
                _enter(names, change)
            yield _tree(names, {**self.data, **dict(zip(nodes, contents, strict=True))})

    def _subsets(self, chance: random.Random) -> Iterator[list[Change]]:
        count = len(self.changes)
        masks: Iterator[int] | list[int]
        if count <= ALL_SUBSETS:
            masks = iter(range(1 << count))
        else:
            masks = [0, *(chance.getrandbits(count) for _ in range((1 << ALL_SUBSETS) - 2)), (1 << count) - 1]
        for mask in masks:
            subset = [change for place, change in enumerate(self.changes) if mask >> place & 1]
            if all(
                change.needs is None or change.needs not in self.changes or change.needs in subset for change in subset
            ):
                yield subset


def _enter(names: dict[int, dict[str, int]], change: Change) -> None:
    for (directory, name), node in change.entries.items():
        if node is None:
            names[directory].pop(name, None)
        else:
            names[directory][name] = node


def _tree(names: dict[int, dict[str, int]], data: dict[int, bytes]) -> Tree:
    found: Tree = {}

    def below(node: int, path: str) -> None:
        for name, inner in names[node].items():
            place = f"{path}{name}"
            if inner in names:
                found[place] = None
                below(inner, f"{place}/")
            else:
                found[place] = data[inner]

    below(ROOT, "")
    return found


def written(data: bytes, op: Op) -> bytes:
    """What a write or a truncation makes of a file."""
    if op.kind == "truncate":
        return data[: op.offset].ljust(op.offset, b"\0")
    return data[: op.offset].ljust(op.offset, b"\0") + op.data + data[op.offset + len(op.data) :]


def forms_of(old: bytes, writes: list[Op], chance: random.Random, mixes: int) -> list[bytes]:
    """What a file may hold when its writes were not synced: first that all are lost, last that all are there."""
    steps = [old]
    for write in writes:
        steps.append(written(steps[-1], write))
    new = steps[-1]
    ranges = [(op.offset, min(op.offset + len(op.data), len(new))) for op in writes if op.data]

    def mixed(pick: str) -> bytes:
        found = bytearray(new)
        step = 1 if len(new) <= SMALL_BYTES else BLOCK_BYTES
        for start, end in ranges:
            if pick == "zero":
                found[start:end] = bytes(end - start)
            elif pick == "rubbish":
                found[start:end] = chance.randbytes(end - start)
            else:
                for place in range(start, end, step):
                    if chance.random() < 0.5:
                        stop = min(place + step, end)
                        found[place:stop] = old[place:stop].ljust(stop - place, b"\0")
        return bytes(found)

    shortest = min(len(state) for state in steps)
    lengths = {shortest + (len(new) - shortest) * part // 4 for part in (1, 2, 3)} | {max(shortest, len(new) - 1)}
    middle = steps[1:-1] if len(steps) <= 5 else [steps[1], steps[len(steps) // 2], steps[-2]]
    forms = [*middle, *(new[:length] for length in sorted(lengths)), mixed("zero"), mixed("rubbish")]
    forms += [mixed("some") for _ in range(mixes)]
    return [old, *dict.fromkeys(form for form in forms if form not in (old, new)), new]
