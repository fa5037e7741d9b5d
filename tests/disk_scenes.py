"""Every way of base.disk to write, as scenarios for power cuts, refusing disks and kills."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import killing
import power
from faults import TEMPORARY, Attempt
from power_log import Tree, tree_of
from shoestring.base import canonical, disk
from shoestring.base.cache import Cache
from shoestring.base.disk import kernel

OLD, NEW, LINE = b"what was there", b"the new content, and longer", b"one more line\n"
LARGE = bytes(range(256)) * 12  # some blocks


def nothing(_root: Path) -> None:
    """Nobody did anything."""


@dataclass(frozen=True)
class Scene:
    """One call, or a few.

    Args:
        before, after: what a reader sees; temporary files do not count.
        call: what is done.
        first: what somebody did before, without any sync.
        between: whether a state that is neither may be left while the call has not returned.
        retry: how the call is made again after an error.
        again: states that this may lead to, beside the one after.
    """

    before: Tree
    call: Callable[[Path], None]
    after: Tree
    first: Callable[[Path], None] = nothing
    between: Callable[[Tree], bool] = field(default=lambda _seen: False)
    retry: Callable[[Path], None] | None = None
    again: tuple[Tree, ...] = ()

    def check(self, root: Path, done: bool) -> None:
        """After a cut or a kill: old or new, new when it was done; and the next call finds its way from there."""
        found = seen(root)
        if done:
            assert found == self.after, f"done, but {found}"
        else:
            assert found in (self.before, self.after) or self.between(found), f"neither old nor new: {found}"

    def scenario(self) -> power.Scenario:
        """For power cuts."""

        def act(root: Path, done: power.Done) -> None:
            self.first(root)
            self.call(root)
            done("call")

        return power.Scenario(
            lambda root: power.lay_out(self.before, root), act, lambda root, done: self.check(root, bool(done))
        )

    def attempt(self) -> Attempt:
        """For disks that refuse."""

        def prepare(root: Path) -> None:
            power.lay_out(self.before, root)
            self.first(root)

        return Attempt(prepare, self.call, seen, lambda state: self.between(state), self.retry, self.again)

    def work(self) -> killing.Work:
        """For kills."""
        attempt = self.attempt()
        return killing.Work(attempt.prepare, self.call, self.check)


def seen(root: Path) -> Tree:
    """What a reader sees: all but temporary files."""
    return {name: data for name, data in tree_of(root).items() if not TEMPORARY.fullmatch(Path(name).name)}


def careless(path: Path, data: bytes) -> None:
    """A file as a program writes it that knows nothing of power cuts."""
    with disk.storage_errors(path), kernel.opened(path, os.O_RDWR | os.O_CREAT) as descriptor:
        kernel.current().write(descriptor, memoryview(data), 0)


def _in_parts(root: Path) -> None:
    with disk.atomic_file(root / "a") as stream:
        for start in range(0, len(LARGE), 1000):
            stream.write(LARGE[start : start + 1000])
            stream.flush()
        stream.seek(10)
        assert stream.read(5) == LARGE[10:15]
        stream.write(b"put in later")
        stream.seek(0, os.SEEK_END)


def _secret(root: Path) -> None:
    with disk.atomic_file(root / "a", secret=True) as stream:
        stream.write(NEW)


def _secret_again(root: Path) -> None:
    if not (root / "a").exists():
        _secret(root)


def _moved(root: Path) -> None:
    if (root / "x" / "a").exists():
        disk.replace(root / "x" / "a", root / "y" / "b")


def _renamed(root: Path) -> None:
    if (root / "a").exists():
        disk.replace(root / "a", root / "b")


def _two(root: Path) -> None:
    disk.write_bytes(root / "b", NEW)
    disk.write_bytes(root / "a", NEW)


def _grown(seen: Tree) -> bool:
    """What was there is there, and behind it nothing longer than what was added."""
    data = seen.get("a", OLD) or b""
    return set(seen) <= {"a"} and data.startswith(OLD) and len(data) <= len(OLD + LINE)


def _sprouting(seen: Tree) -> bool:
    return set(seen) <= {"a"} and len(seen.get("a") or b"") <= len(LINE)


def _one_of_both(seen: Tree) -> bool:
    folders = seen["x"] is None and seen["y"] is None
    return folders and NEW in (seen.get("x/a"), seen.get("y/b")) and seen.get("y/b") in (OLD, NEW)


def _unsure_source(seen: Tree) -> bool:
    """Whoever wrote the source did not sync it, so it may be anything; the target may not."""
    return set(seen) <= {"a", "b"} and seen["b"] in (OLD, NEW)


def _folders(*names: str) -> Callable[[Tree], bool]:
    return lambda seen: all(data is None for data in seen.values()) and set(seen) <= set(names)


def _noun(root: Path) -> None:
    assert Cache(root / "c").noun("room", 1, list, lambda: [1, 2]) == [1, 2]


def _file(root: Path) -> None:
    Cache(root / "c").file("room", 1, ".bin", lambda path: careless(path, NEW))


def _cached(root: Path, suffix: str) -> str:
    return f"c/room/{canonical.digest(1)}{suffix}"


def _filling(suffix: str, data: bytes) -> Callable[[Tree], bool]:
    """An answer that is there is whole; files of the way there begin with a dot."""
    name = _cached(Path(), suffix)
    return lambda seen: all(
        inner is None if place in ("c", "c/room") else inner == data if place == name else Path(place).name[0] == "."
        for place, inner in seen.items()
    )


def _make(path: Path) -> None:
    disk.make_directory(path)


def _half_made(root: Path) -> None:
    kernel.current().mkdir(root / "a")


PART = ".a.0123456789abcdef.part"
LATER = LARGE[:15] + b"put in later" + LARGE[27:]
FOLDERS: Tree = {"a": None, "a/b": None, "a/b/c": None}
CACHE: Tree = {"c": None, "c/room": None}

SCENES = {
    "write a new file": Scene({}, lambda root: disk.write_bytes(root / "a", NEW), {"a": NEW}),
    "write over an old one": Scene({"a": OLD}, lambda root: disk.write_text(root / "a", NEW.decode()), {"a": NEW}),
    "write nothing": Scene({"a": OLD}, lambda root: disk.write_bytes(root / "a", b""), {"a": b""}),
    "write in parts": Scene({"a": OLD}, _in_parts, {"a": LATER}),
    "write two": Scene(
        {"a": OLD, "b": OLD}, _two, {"a": NEW, "b": NEW}, between=lambda seen: seen == {"a": OLD, "b": NEW}
    ),
    "write a secret": Scene({}, _secret, {"a": NEW}, retry=_secret_again),
    "copy": Scene({"a": OLD, "b": LARGE}, lambda root: disk.copy(root / "b", root / "a"), {"a": LARGE, "b": LARGE}),
    "append": Scene(
        {"a": OLD}, lambda root: disk.append_bytes(root / "a", LINE), {"a": OLD + LINE},
        between=_grown, again=({"a": OLD + LINE + LINE},),
    ),
    "append to none": Scene(
        {}, lambda root: disk.append_bytes(root / "a", LINE), {"a": LINE},
        between=_sprouting, again=({"a": LINE + LINE},),
    ),
    "rename what nobody synced": Scene(
        {"b": OLD}, lambda root: disk.replace(root / "a", root / "b"), {"b": NEW},
        first=lambda root: careless(root / "a", NEW), between=_unsure_source, retry=_renamed,
    ),
    "rename": Scene({"a": NEW}, lambda root: disk.put_aside(root / "a", root / "b"), {"b": NEW}, retry=_renamed),
    "rename to another directory": Scene(
        {"x": None, "x/a": NEW, "y": None, "y/b": OLD}, lambda root: disk.replace(root / "x" / "a", root / "y" / "b"),
        {"x": None, "y": None, "y/b": NEW}, between=_one_of_both, retry=_moved,
    ),
    "rename a directory": Scene(
        {"a": None, "a/f": NEW}, lambda root: disk.replace(root / "a", root / "b"), {"b": None, "b/f": NEW},
        retry=_renamed,
    ),
    "remove": Scene({"a": OLD}, lambda root: disk.remove(root / "a"), {}),
    "remove again": Scene(
        {"a": OLD}, lambda root: disk.remove(root / "a"), {}, first=lambda root: kernel.current().unlink(root / "a")
    ),
    "make directories": Scene(
        {}, lambda root: _make(root / "a/b/c"), FOLDERS, between=_folders(*FOLDERS)
    ),
    "make directories again": Scene(
        {}, lambda root: _make(root / "a/b/c"), FOLDERS, first=_half_made,
        between=_folders(*FOLDERS),
    ),
    "make a directory that is there": Scene(
        {}, lambda root: _make(root / "a"), {"a": None}, first=_half_made
    ),
    "keep a noun": Scene(
        {}, _noun, {**CACHE, _cached(Path(), ".json"): b"[1,2]"}, between=_filling(".json", b"[1,2]")
    ),
    "keep a file": Scene({}, _file, {**CACHE, _cached(Path(), ".bin"): NEW}, between=_filling(".bin", NEW)),
}  # fmt: skip
