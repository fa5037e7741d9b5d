"""Lives of a device's slots as scenes for power cuts, kills and disks that refuse."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import killing
import power
from faults import TEMPORARY, Attempt
from power_log import Tree, tree_of
from shoestring.base import disk
from shoestring.device.slots import EMPTY, GOOD, MAX_STARTS, TRIAL, Slots
from shoestring.device.slots.record import RECORD
from slot_scenes import NAMES, bring, by_hand, make_bundles, make_slots, settle, sha256_of

State = tuple[str, str | None, int, str | None, frozenset[str], int]
"""What the record says: state, active bundle, starts, previous one, refused ones, counter."""


@functools.cache
def bundles() -> dict[str, bytes]:
    """Small sound bundles by name."""
    with tempfile.TemporaryDirectory() as folder:
        return {name: path.read_bytes() for name, path in make_bundles(Path(folder)).items()}


@functools.cache
def _sources() -> tempfile.TemporaryDirectory[str]:
    """Where bundles come from: outside of every scenario."""
    folder = tempfile.TemporaryDirectory()
    for name, data in bundles().items():
        (Path(folder.name) / f"{name}.shoe").write_bytes(data)
    return folder


def source(name: str) -> Path:
    """The file of a bundle."""
    return Path(_sources().name) / f"{name}.shoe"


@functools.cache
def names() -> dict[str, str]:
    """Hash -> name."""
    return {sha256_of(source(name)): name for name in NAMES}


def state_of(slots: Slots) -> State:
    """As the record has it, in names."""
    record = slots.record()
    active = None if record.active is None else names()[record.active.sha256]
    previous = None if record.previous is None else names()[record.previous.sha256]
    refused = frozenset(names()[one.sha256] for one in record.refused)
    return record.state, active, record.starts, previous, refused, record.counter


@dataclass(frozen=True)
class Scene:
    """One thing that is done with slots.

    Args:
        prepare: what was done before, whole and safe.
        act: what is done.
        ways: states that may be on the way, beside the one before and the one after.
        spare: fsyncs that could be left out, as `power.drop_each` names them; see SPARE.
    """

    prepare: Callable[[Slots], object]
    act: Callable[[Slots], object]
    ways: tuple[State, ...] = ()
    spare: tuple[str, ...] = ()

    @property
    def ends(self) -> tuple[State, State]:
        """Before and after."""
        return self._dry[:2]

    @property
    def files(self) -> set[str]:
        """Names that are there afterwards."""
        return self._dry[2]

    @functools.cached_property
    def _dry(self) -> tuple[State, State, set[str]]:
        with power.scratch() as name:
            slots = make_slots(Path(name) / "slots")
            self.prepare(slots)
            before = state_of(slots)
            self.act(slots)
            slots.discard()
            return before, state_of(slots), _files(slots.root)

    def check(self, root: Path, done: bool) -> None:
        """One of the states that may be; a good bundle that was there starts; and the device goes on from there."""
        slots = make_slots(root / "slots")
        before, after = self.ends
        assert slots.trouble() is None, f"a cut damages nothing: {slots.trouble()}"
        found = state_of(slots)
        assert found == after if done else found in (before, after, *self.ways), f"{done=}, and {found}"
        good = [state for state in (before, after) if _good(state)]
        if done:
            assert _files(slots.root) == self.files, f"done, and there are {_files(slots.root)}"
            active = slots.active()
            assert active is not None and slots.is_sound(active), "done, and the bundle is not whole"
        if len(good) == 2:
            self._rot(root, found, done)
            held, bundle = slots.begin_open()
            bundle.close()
            assert names()[held.sha256] in _startable(found), f"{found} starts {names()[held.sha256]}"
        if (root / "slots").exists():
            slots.clean()
            left = [path.name for path in (root / "slots").iterdir() if TEMPORARY.fullmatch(path.name)]
            assert not left, f"{left} is left after clean"
        settle(slots, source("four"))
        assert state_of(slots)[:3] == (GOOD, "four", 0)

    def _rot(self, root: Path, found: State, done: bool) -> None:
        """Should the record's sectors be lost one day, then its copy knows what was good."""
        again = root / "rotten"
        again.mkdir()
        for path in (root / "slots").iterdir():
            (again / path.name).write_bytes(path.read_bytes()) if path.is_file() else (again / path.name).mkdir()
        (again / RECORD).write_bytes(b"")
        slots = make_slots(again)
        copied = state_of(slots)
        if done and self.ends[1][0] == GOOD:
            assert copied == self.ends[1], f"the copy holds {copied}"
        held, bundle = slots.begin_open()
        bundle.close()
        assert names()[held.sha256] in {name for state in (*self.ends, *self.ways, found) for name in _goods(state)}

    def scenario(self) -> power.Scenario:
        """For power cuts."""

        def act(root: Path, done: power.Done) -> None:
            slots = make_slots(root / "slots")
            self.act(slots)
            done("act")
            slots.discard()

        return power.Scenario(self._prepare, act, lambda root, done: self.check(root, bool(done)))

    def cut_twice(self, *, seed: int, first: int) -> int:
        """Cut again while the device starts after the first cut: what was good before still starts."""

        def start(root: Path) -> None:
            make_slots(root / "slots").begin_open()[1].close()

        def check(root: Path, _done: tuple[str, ...]) -> None:
            slots = make_slots(root / "slots")
            held, bundle = slots.begin_open()
            bundle.close()
            known = {name for state in (*self.ends, *self.ways) for name in (state[1], state[3])}
            assert names()[held.sha256] in known
            settle(slots, source("four"))

        return power.cut_twice(power.Scenario(self._prepare, self.scenario().act, check), start, seed=seed, first=first)

    def work(self) -> killing.Work:
        """For kills."""

        def act(root: Path) -> None:
            self.act(make_slots(root / "slots"))

        return killing.Work(self._prepare, act, self.check)

    def attempt(self) -> Attempt:
        """For disks that refuse."""

        def act(root: Path) -> None:
            slots = make_slots(root / "slots")
            try:
                self.act(slots)
            finally:
                slots.discard()

        def again(root: Path) -> None:
            if state_of(make_slots(root / "slots")) != self.ends[1]:
                act(root)

        return Attempt(
            self._prepare,
            act,
            lambda root: state_of(make_slots(root / "slots")),
            self.ways.__contains__,
            again,
            may_stay=self.act is _start,
        )

    def _prepare(self, root: Path) -> None:
        power.lay_out(self._prepared, root)

    @functools.cached_property
    def _prepared(self) -> Tree:
        with power.scratch() as name:
            slots = make_slots(Path(name) / "slots")
            self.prepare(slots)
            slots.discard()
            return tree_of(Path(name))


def _files(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()}


def _good(state: State) -> bool:
    return state[0] == GOOD or state[3] is not None


def _goods(state: State) -> set[str | None]:
    return {state[1] if state[0] == GOOD else None, state[3]} - {None}


def _startable(state: State) -> set[str | None]:
    """The active one, but for a trial that had all of its starts."""
    return {state[3]} if state[0] == TRIAL and state[2] >= MAX_STARTS else {state[1]}


def _good_one(slots: Slots) -> None:
    settle(slots, source("one"))


def _good_two(slots: Slots) -> None:
    _good_one(slots)
    settle(slots, source("two"))


def _trial(slots: Slots) -> None:
    _good_one(slots)
    bring(slots, source("two"))


def _worn_out(slots: Slots) -> None:
    _trial(slots)
    for _ in range(MAX_STARTS):
        slots.begin()


def _start(slots: Slots) -> None:
    """A start that cannot be counted takes the good one."""
    held = slots.begin()
    state = state_of(slots)
    assert names()[held.sha256] in _goods(state) | {state[1] if state[2] else None}, f"{state} started {held.name}"


def _litter(slots: Slots) -> None:
    _good_one(slots)
    disk.copy(source("two"), slots.root / "b.shoe")
    for name in (".b.shoe.0123456789abcdef.part", ".slots.json.0123456789abcdef.part"):
        disk.write_bytes(slots.root / name, b"half")


def _refusing(slots: Slots) -> None:
    _trial(slots)
    slots.fail("golden")


NONE: frozenset[str] = frozenset()
SPARE = ("names after slots.json",)
"""The record's copy is written right after it, and the same directory synced again, before anything is said."""
STAGING = (*SPARE, "names after slots.good.json")
"""What is safe before a slot is given up is the record; its copy may come later, for it names the active bundle too."""

SCENES = {
    "install": Scene(
        lambda _: None,
        lambda slots: by_hand(slots, source("one")),
        ((EMPTY, None, 0, None, NONE, 0),),
        # The copy tells of no bundle; and where the record is there before the slot's name, there was nothing to lose.
        ("names after lock", "bytes of slots.good.json", "names after slots.good.json", "names after a.shoe"),
    ),
    "activate a second": Scene(_good_one, lambda slots: by_hand(slots, source("two"))),
    "activate a third": Scene(
        _good_two,
        lambda slots: by_hand(slots, source("three")),
        ((GOOD, "two", 0, None, NONE, 0),),
        (*STAGING, "names after a.shoe"),  # another file takes that name, or none does
    ),
    "activate over a trial": Scene(
        _trial,
        lambda slots: by_hand(slots, source("three")),
        ((GOOD, "one", 0, None, NONE, 0),),
        (*STAGING, "names after b.shoe"),
    ),
    "start a trial": Scene(_trial, _start),
    "start a good one": Scene(_good_two, _start),
    "start a trial that keeps dying": Scene(_worn_out, _start, (), SPARE),
    "confirm": Scene(_trial, lambda slots: slots.confirm(), (), SPARE),
    "roll back a trial": Scene(_trial, lambda slots: slots.fail("crashed"), (), SPARE),
    "roll back a good one": Scene(_good_two, lambda slots: slots.fail("crashed"), (), SPARE),
    "clean up": Scene(_litter, lambda slots: slots.clean(), (), ("names after b.shoe",) * 2),
    "forget": Scene(_refusing, lambda slots: slots.forget(sha256_of(source("two"))), (), SPARE),
    "see a counter": Scene(_good_one, lambda slots: slots.seen(7), (), SPARE),
}
