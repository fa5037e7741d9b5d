"""An agent with real slots and a real queue, a repository that is a table, and a world that can be cut at any write."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from null_bundles import make_null_bundle
from shoestring.base import disk
from shoestring.base.canonical import sha256_hex
from shoestring.base.errors import RepositoryError, ShoestringError, UnreachableError
from shoestring.bundle.delta import make_delta
from shoestring.device.agent.agent import Agent, Place
from shoestring.device.agent.identity import device_key
from shoestring.device.agent.queue import ReportQueue
from shoestring.device.agent.reporting import Teller
from shoestring.device.agent.sending import LATER, TAKEN, Answer
from shoestring.device.slots import Slots
from shoestring.device.slots.activation import Device, activate_bundle
from shoestring.domain.release import RELEASE_FORMAT, DeltaFrom, Release, bundle_path, delta_path
from shoestring.domain.report import Report
from shoestring.trust.sealed_report import open_report

GROUP = "porch"


class Cut(BaseException):
    """The power is gone; no handler of ours may stop it."""


@functools.cache
def bundle(number: int) -> bytes:
    """The bytes of the bundle of that number."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.shoe"
        make_null_bundle(path, busy_us=number)
        return path.read_bytes()


@functools.cache
def delta(old: int, new: int) -> bytes:
    """The bytes of the delta between two of them."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("old.shoe", "new.shoe", "made.delta")]
        paths[0].write_bytes(bundle(old))
        paths[1].write_bytes(bundle(new))
        make_delta(*paths)
        return paths[2].read_bytes()


def hash_of(number: int) -> str:
    return sha256_hex(bundle(number))


def release(counter: int, number: int, **changes: object) -> Release:
    """A release that asks for a bundle."""
    made = Release(
        RELEASE_FORMAT,
        GROUP,
        counter,
        f"camera {number}",
        hash_of(number),
        len(bundle(number)),
        0,
        "0.1.0",
        None,
        (),
        (),
    )
    return replace(made, **changes)


def with_delta(made: Release, old: int, new: int, data: bytes | None = None) -> Release:
    """The same with a delta from another bundle."""
    sent = delta(old, new) if data is None else data
    return replace(made, deltas=(DeltaFrom(hash_of(old), sha256_hex(sent), len(sent)),))


@dataclass
class Table:
    """A repository: what it says, what it holds, and what is wrong with it.

    Attributes:
        asked: target paths that were fetched whole.
    """

    now: Release | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    trouble: ShoestringError | None = None
    cut_after: int | None = None
    asked: list[str] = field(default_factory=list)

    def says(self, made: Release | None, *bundles: int) -> Table:
        self.now = made
        for number in bundles:
            self.files[bundle_path(hash_of(number))] = bundle(number)
        return self

    def holds_delta(self, old: int, new: int, data: bytes | None = None) -> None:
        self.files[delta_path(hash_of(old), hash_of(new))] = delta(old, new) if data is None else data

    def refresh(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    def release(self, group: str, device: str) -> Release | None:
        assert group == GROUP
        return self.now

    def fetch(self, target_path: str, out: Path) -> None:
        if target_path not in self.files:
            raise RepositoryError(f"no role lists {target_path}", rule="listing")
        if self.cut_after is not None:
            raise UnreachableError(f"cut after {self.cut_after} bytes")
        self.asked.append(target_path)
        disk.write_bytes(out, self.files[target_path])


class Board:
    """A device: what stands on its disk outlives any number of agents.

    Args:
        root: directory of its slots.
        chip: that it is told to be.
    """

    def __init__(self, root: Path, table: Table, *, chip: str | None = None, most: int = 1000) -> None:
        self.root, self.table, self.chip, self.most = root, table, chip, most
        self.slots = Slots(root)
        self.now_s = 1000.0
        self.wall_s = 1_800_000_000.0
        self.said: list[str] = []
        self.verdict: ShoestringError | None = None
        self.boot()

    def boot(self) -> Agent:
        """The agent starts, or starts again."""
        folder = self.root / "agent"
        self.key = device_key(folder)
        place = Place(folder, self.key.public.key_id, GROUP, self.chip, "0.1.0", 900.0)
        self.slots = Slots(self.root)
        self.queue = ReportQueue(folder / "reports", self.most)
        teller = Teller(self.key, GROUP, "0.1.0", self.chip or "test", lambda: self.wall_s)
        self.agent = Agent(
            place, self.slots, self.table, self._activate, lambda: self.now_s, self.said.append, self.queue, teller
        )
        return self.agent

    def _activate(self, path: Path, made: Release) -> None:
        def replay(*_: object) -> tuple[str, ...]:
            if self.verdict is not None:
                raise self.verdict
            return ()

        activate_bundle(self.slots, path, None, allow_unsigned=True, release=made, device=Device(), replay=replay)

    def turn(self) -> str:
        """A look, and what follows from it; what was done."""
        found = self.agent.look()
        self.agent.watch()
        return found.did

    @property
    def runs(self) -> str:
        """Hash of what runs; empty where nothing does."""
        held = self.slots.active()
        return "" if held is None else held.sha256


class Collector:
    """Keeps each (device, sequence) once, and knows when two different reports came under one.

    Attributes:
        reports: by number.
        twice: numbers that came with two contents.
    """

    def __init__(self) -> None:
        self.bytes: dict[int, bytes] = {}
        self.twice: list[int] = []
        self.away = False
        self.answer = Answer(TAKEN)

    def send(self, data: bytes) -> Answer:
        if self.away:
            return Answer(LATER, "away")
        number = open_report(data).sequence
        if self.bytes.setdefault(number, data) != data:
            self.twice.append(number)
        return self.answer

    def close(self) -> None:
        pass

    @property
    def reports(self) -> list[Report]:
        return [open_report(self.bytes[number]) for number in sorted(self.bytes)]

    @property
    def story(self) -> list[tuple[str, str]]:
        """States and the beginnings of the bundles they are about."""
        return [(report.state, report.bundle_sha256) for report in self.reports]


class Cutting:
    """Cuts the power before the n-th durable step, or after it.

    Args:
        monkeypatch: that puts it in.
        at: which, counted from 0; None: never.
        after: whether the step is done and only its caller does not hear of it.
    """

    STEPS = ("write_bytes", "write_text", "remove", "put_aside", "append_bytes")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int | None, *, after: bool = False) -> None:
        self.count, self._at, self._after = 0, at, after
        for name in self.STEPS:
            monkeypatch.setattr(disk, name, self._wrapped(getattr(disk, name)))

    def _wrapped(self, real):
        def step(*arguments, **more):
            here = self.count == self._at
            self.count += 1
            if here and not self._after:
                raise Cut
            result = real(*arguments, **more)
            if here:
                raise Cut
            return result

        return step
