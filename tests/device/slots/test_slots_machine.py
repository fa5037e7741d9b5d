"""Random lives of a device against a model of a few lines: whatever happens, what was good once can be started.

A life holds new bundles, starts, confirmations, failures, damaged records, and deaths in the middle of any of them: a
dead process does nothing more, so every later write fails until the next process is there. What it was at is done by
then or not done at all.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from faults import Tapped
from proof_scale import SCALE
from shoestring.base import canonical
from shoestring.base.disk import kernel
from shoestring.base.errors import ShoestringError, SlotError
from shoestring.device.slots import GOOD, MAX_STARTS, Slots, rules
from shoestring.device.slots.record import RECORD
from slot_scenes import NAMES, bring, make_bundles, make_slots, sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shoestring.device.slots import Kept, Record

BUNDLES: dict[str, Path] = {}
NAME_OF: dict[str, str] = {}
HASH_OF: dict[str, str] = {}
COUNTS: Counter[str] = Counter()


class Death(BaseException):
    """The process is gone."""


@dataclass(frozen=True)
class Model:
    """What must be.

    Args:
        active: name of the bundle.
        trial: whether it is on trial.
        starts: of it.
        previous: the good one before.
        refused: for good.
    """

    active: str | None = None
    trial: bool = False
    starts: int = 0
    previous: str | None = None
    refused: frozenset[str] = field(default_factory=frozenset)

    def back(self) -> Model:
        return replace(self, active=self.previous, trial=False, starts=0, previous=None)

    def staged(self) -> Model:
        return self.back() if self.trial and self.previous is not None else replace(self, previous=None)

    def activated(self, name: str) -> Model:
        good = None if self.trial else self.active
        return replace(self, active=name, trial=True, starts=0, previous=good)

    def started(self) -> Model:
        if not self.trial:
            return self
        return replace(self, starts=self.starts + 1) if self.starts < MAX_STARTS else self.failed()

    def confirmed(self) -> Model:
        return replace(self, trial=False, starts=0)

    def failed(self) -> Model:
        return replace(self.back(), refused=self.refused | {str(self.active)})

    @property
    def bundles(self) -> tuple[str | None, bool, str | None]:
        """All but what the copy of the record may not know yet."""
        return self.active, self.trial, self.previous

    @property
    def good(self) -> bool:
        """Whether there is a good bundle."""
        return self.active is not None and (not self.trial or self.previous is not None)


STEPS = ("open", "write", "sync", "rename", "unlink", "mkdir")


class Dying(Tapped):
    """Ends a process at one of its calls that open or change something: from there on it does nothing more.

    Args:
        at: call, counted from 0.
    """

    def __init__(self, at: int) -> None:
        super().__init__()
        self._left = at

    def before(self, name: str) -> None:
        """Count, and die when it is time."""
        if name in STEPS:
            self._left -= 1
            if self._left < 0:
                raise Death


@contextlib.contextmanager
def dying(at: int | None) -> Iterator[None]:
    """Die at this step; None: live."""
    if at is None:
        yield
        return
    with kernel.using(Dying(at)), contextlib.suppress(Death):
        yield


class Life(RuleBasedStateMachine):
    """A device and its model."""

    make = staticmethod(make_slots)

    def __init__(self) -> None:
        super().__init__()
        COUNTS["lives"] += 1
        self._folder = tempfile.TemporaryDirectory()
        self.slots: Slots = self.make(Path(self._folder.name) / "slots")
        self.model = Model()
        self.settled = Model()

    def teardown(self) -> None:
        self.slots.discard()
        self._folder.cleanup()

    def lives(self, at: int | None, act: Callable[[], object], *ways: Model) -> None:
        """Do something, perhaps die of it, and find the device in one of these states; the last one if it lived."""
        with dying(at):
            act()
            at = None
        COUNTS["acts"] += 1
        if at is not None:
            COUNTS["deaths in the middle of one"] += 1
            self.slots.discard()  # the kernel closes what a dead process held
            self.slots = self.make(self.slots.root)
        found = self.seen()
        assert found in ((ways[-1],) if at is None else (self.model, *ways)), (found, self.model, ways)
        if at is None and found != self.model:
            self.copied(found)
        self.model = found

    def copied(self, found: Model) -> None:
        """The record's copy holds it, unless it is on trial."""
        if not found.trial:
            self.settled = found

    def seen(self) -> Model:
        record = self.slots.record()
        active = None if record.active is None else NAME_OF[record.active.sha256]
        previous = None if record.previous is None else NAME_OF[record.previous.sha256]
        refused = frozenset(NAME_OF[one.sha256] for one in record.refused)
        return Model(active, record.state == "trial", record.starts, previous, refused)

    @rule(name=st.sampled_from(NAMES), at=st.none() | st.integers(0, 60))
    def bring(self, name: str, at: int | None) -> None:
        if name == self.model.active:
            return
        staged = self.model.staged()
        if name in self.model.refused:
            with pytest.raises(SlotError, match="refused"):
                bring(self.slots, BUNDLES[name])
            self.slots.discard()
            self.lives(None, lambda: None, staged)
        else:
            self.lives(at, lambda: bring(self.slots, BUNDLES[name]), staged, staged.activated(name))
            if self.model.trial:
                self.copied(staged)

    @rule(name=st.sampled_from(NAMES))
    def settle(self, name: str) -> None:
        """What usually happens."""
        if name in (self.model.active, *self.model.refused):
            return
        self.bring(name, None)
        self.start(None)
        self.confirm(None)

    @rule(at=st.none() | st.integers(0, 14))
    def start(self, at: int | None) -> None:
        after = self.model.started()
        if after.active is None:
            with pytest.raises(ShoestringError):
                self.slots.begin()
            assert self.seen() == after
            self.model = after
            self.copied(after)
            return
        handed: list[str] = []
        self.lives(at, lambda: handed.append(self.slots.begin().sha256), after)
        if handed:
            self.copied(self.model)
        assert handed in ([], [HASH_OF[after.active]])

    @rule(at=st.none() | st.integers(0, 14))
    def confirm(self, at: int | None) -> None:
        if self.model.active is None:
            return
        self.lives(at, self.slots.confirm, self.model.confirmed())

    @rule(at=st.none() | st.integers(0, 14))
    def fail(self, at: int | None) -> None:
        if self.model.active is None:
            return
        if not self.model.trial and self.model.previous is None:
            with pytest.raises(SlotError, match="only good one"):
                self.slots.fail("crashed")
            return
        self.lives(at, lambda: self.slots.fail("crashed"), self.model.failed())

    @rule()
    def forget(self) -> None:
        if not self.model.refused:
            return
        name = min(self.model.refused)
        self.slots.forget(HASH_OF[name])
        self.lives(None, lambda: None, replace(self.model, refused=self.model.refused - {name}))

    @rule(place=st.integers(0, 2000), cut=st.booleans())
    def damage_the_record(self, place: int, cut: bool) -> None:
        """The end is lost, or a bit rots: what was on trial is lost with it, what was good is not."""
        path = self.slots.root / RECORD
        if not path.exists() or self.settled.active is None:
            return
        data = path.read_bytes()
        place %= len(data)
        path.write_bytes(data[:place] if cut else data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        COUNTS["damaged records"] += 1
        found = self.seen()
        ways = (self.settled, self.settled.staged(), self.model.back(), self.model)
        assert found.bundles in [one.bundles for one in ways], (found, self.model, self.settled)
        self.slots.begin()
        self.model = self.settled = self.seen()

    @rule()
    def clean(self) -> None:
        self.slots.clean()

    @invariant()
    def what_was_good_can_be_started(self) -> None:
        """Told from the files alone, by a process that knows nothing; it is looked at, and not counted."""
        if not self.model.good:
            return
        record = rules.started(self.slots.record(), 0)
        choices = [kept for kept in (record.active, record.previous) if kept is not None]
        files = {path.stem: canonical.sha256_hex(path.read_bytes()) for path in self.slots.root.glob("?.shoe")}
        assert any(files.get(kept.slot) == kept.sha256 for kept in choices[:1]), (record, files)


@pytest.fixture(scope="module", autouse=True)
def _bundles(tmp_path_factory: pytest.TempPathFactory) -> None:
    BUNDLES.update(make_bundles(tmp_path_factory.mktemp("bundles")))
    NAME_OF.update({sha256_of(path): name for name, path in BUNDLES.items()})
    HASH_OF.update({name: sha256 for sha256, name in NAME_OF.items()})


def live(examples: int) -> None:
    """Without shrinking, which takes minutes where every step writes to a disk."""
    phases = [Phase.generate]
    checks = list(HealthCheck)
    plan = settings(
        max_examples=examples, stateful_step_count=25, deadline=None, derandomize=True, phases=phases,
        suppress_health_check=checks,
    )  # fmt: skip
    run_state_machine_as_test(Life, settings=plan)  # type: ignore[no-untyped-call]


def test_any_life() -> None:
    COUNTS.clear()
    live(20 * SCALE)
    print(", ".join(f"{count} {what}" for what, count in COUNTS.items()))


ACTIVATED = rules.activated


def in_the_active_slot(record: Record) -> tuple[Record, str]:
    """Writes over the bundle that is started."""
    return record, "a" if record.active is None else record.active.slot


def without_counting(record: Record, at_s: float) -> Record:
    """Hands a trial out again and again."""
    return record


def forgetting(record: Record, why: rules.Refusal) -> Record:
    """Goes back and refuses nothing."""
    return rules._gone_back(record)


def trusting(record: Record, new: Kept) -> Record:
    """Takes a bundle for good before it served."""
    return replace(ACTIVATED(record, new), state=GOOD)


def one_slot(record: Record, new: Kept) -> Record:
    """Keeps no way back."""
    return replace(ACTIVATED(record, new), previous=None)


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("making_room", in_the_active_slot),
        ("started", without_counting),
        ("failed", forgetting),
        ("activated", trusting),
        ("activated", one_slot),
    ],
    ids=lambda one: one if isinstance(one, str) else one.__name__,
)
def test_broken_rules_are_found(name: str, broken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, name, broken)
    with pytest.raises((AssertionError, ShoestringError, pytest.fail.Exception)):
        live(10)
