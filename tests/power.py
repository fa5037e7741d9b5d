"""Power cuts: run a scenario, cut the power at every point of it in every way, and look at what is left.

    count = power.cut(scenario, seed=1)            # raises BrokenError at the first state that the check refuses
    spare = power.drop_each(scenario, seed=1)      # fsyncs without which there is no such state: none

A scenario runs once, for real, with a kernel that logs (tests/power_log.py). From each beginning of the log the model
(tests/power_model.py) makes the states that may be on the medium; each is put into a directory, and the check looks.
"""

from __future__ import annotations

import hashlib
import random
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from power_log import Op, Recorder, Tree, tree_of
from power_model import MIXES, Medium
from shoestring.base.disk import kernel
from shoestring.base.errors import ShoestringError

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY = Path("/dev/shm")  # a tmpfs: states are put there and taken away again, thousands of them
STATES_AT_ONE_CUT = 400
TEMPORARY_NAME = re.compile(r"\.(.*)\.[0-9a-f]{16}\.part")

Done = Callable[[str], None]
Seen = set[bytes]


class BrokenError(AssertionError):
    """A state after a cut that the check refuses."""


@dataclass(frozen=True)
class Scenario:
    """What is tried.

    Args:
        prepare: makes what is safe on the disk before; with any call.
        act: what the power is cut in; it says `done(label)` whenever something must stay from there on. It writes
            through base.disk alone.
        check: given the directory after the cut and the labels that were said before it, raises AssertionError or one
            of our errors unless all is as promised. It may recover and write.
    """

    prepare: Callable[[Path], None]
    act: Callable[[Path, Done], None]
    check: Callable[[Path, tuple[str, ...]], None]


@dataclass(frozen=True)
class Log:
    """A scenario that has run."""

    start: Tree
    ops: tuple[Op, ...]

    def syncs(self) -> list[int]:
        """Where something was saved that was not safe before."""
        medium, found = Medium.of(self.start), []
        for place, op in enumerate(self.ops):
            if op.kind == "sync" and not medium.idle(op.node):
                found.append(place)
            medium.apply(op)
        return found


@dataclass(frozen=True)
class State:
    """One state after a cut.

    Args:
        tree: what is on the medium.
        place: how many operations had happened.
        done: labels that were said.
    """

    tree: Tree
    place: int
    done: tuple[str, ...]


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A directory in memory."""
    return tempfile.TemporaryDirectory(prefix="shoestring-power-", dir=MEMORY)


def record(scenario: Scenario) -> Log:
    """Run it once.

    Raises:
        AssertionError: it wrote past the seam, or its own end does not pass its check.
    """
    with scratch() as name:
        root = Path(name) / "cut"
        root.mkdir()
        scenario.prepare(root)
        recorder = Recorder(root)
        with kernel.using(recorder):
            scenario.act(root, recorder.done)
        medium = Medium.of(recorder.start)
        for op in recorder.log:
            medium.apply(op)
        assert medium.now() == tree_of(root), "something was written past the seam"
        scenario.check(root, tuple(medium.done))
    return Log(recorder.start, tuple(recorder.log))


def states(
    log: Log,
    seed: int,
    *,
    dropped: int | None = None,
    limit: int = STATES_AT_ONE_CUT,
    seen: Seen | None = None,
    mixes: int = MIXES,
) -> Iterator[State]:
    """Different states after a cut, at each place of the log in turn.

    Args:
        log: of a scenario.
        seed: of the choice where there are too many, and of rubbish.
        dropped: place of an operation that never happens.
        limit: at one place.
        seen: as in `cut`.
        mixes: how many forms of each file that hold some of its blocks.
    """
    chance, medium = random.Random(seed), Medium.of(log.start)
    seen = set() if seen is None else seen
    for place in range(len(log.ops) + 1):
        if place and place - 1 != dropped:
            medium.apply(log.ops[place - 1])
        done = tuple(medium.done)
        for tree in medium.after_cut(limit, chance, mixes):
            key = hashlib.sha256(repr((sorted(tree.items()), done)).encode()).digest()
            if key not in seen:
                seen.add(key)
                yield State(tree, place, done)


def lay_out(tree: Tree, root: Path) -> None:
    """Put a state into a directory, over all that was there."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for name, data in tree.items():  # directories come before what is in them
        if data is None:
            (root / name).mkdir()
        else:
            (root / name).write_bytes(data)


def cut(
    scenario: Scenario,
    *,
    seed: int,
    log: Log | None = None,
    limit: int = STATES_AT_ONE_CUT,
    seen: Seen | None = None,
    mixes: int = MIXES,
) -> int:
    """Check every state.

    Args:
        scenario: that is cut.
        seed, limit, mixes: as in `states`.
        log: of it, where it has run.
        seen: states that were checked before, which are left out; it grows.

    Returns:
        How many different new ones there were.

    Raises:
        BrokenError: one of them is refused; the message shows it.
    """
    log = record(scenario) if log is None else log
    count = 0
    with scratch() as name:
        for state in states(log, seed, limit=limit, seen=seen, mixes=mixes):
            _look(scenario, log, state, Path(name) / "cut")
            count += 1
    assert seen is not None or count > len(log.syncs()), "a scenario that leaves nothing to lose"
    return count


def drop_each(scenario: Scenario, *, seed: int, log: Log | None = None, limit: int = STATES_AT_ONE_CUT) -> list[str]:
    """Leave out each fsync that saves something, one at a time: the check should find each of them out.

    Returns:
        Those without which nothing goes wrong in any state, such as "names after slots.json" for that of a directory.
    """
    log = record(scenario) if log is None else log
    syncs, spare = log.syncs(), []
    assert syncs, "a scenario that saves nothing"
    with scratch() as name:
        for dropped in syncs:
            try:
                for state in states(log, seed, dropped=dropped, limit=limit):
                    if state.place > dropped:
                        _look(scenario, log, state, Path(name) / "cut")
            except BrokenError:
                continue
            spare.append(_words(log, dropped))
    return spare


def _words(log: Log, place: int) -> str:
    """A sync in words: what had its name changed last, or what the bytes are of."""
    op = log.ops[place]
    before = [one for one in log.ops[:place] if op.node in (one.directory, one.to_directory) and one.directory >= 0]
    name = (before[-1].to_name or before[-1].name) if before else op.name
    hidden = TEMPORARY_NAME.fullmatch(name)
    return ("names after " if before else "bytes of ") + (hidden[1] if hidden else name)


def cut_twice(scenario: Scenario, recover: Callable[[Path], None], *, seed: int, first: int, limit: int = 40) -> int:
    """Cut again while `recover` mends what the first cut left.

    Args:
        scenario: as above; its check looks after both.
        recover: what mends, through base.disk.
        seed: of all choices.
        first: how many first cuts, by chance.
        limit: of states at one place of the second.

    Returns:
        How many different states there were after the second cut, over all.
    """
    log, chance, count = record(scenario), random.Random(seed), 0
    found = list(states(log, seed))
    for state in chance.sample(found, min(first, len(found))):
        again = Scenario(
            prepare=lambda root, tree=state.tree: lay_out(tree, root),  # type: ignore[misc]
            act=lambda root, _done: recover(root),
            check=lambda root, _none, done=state.done: scenario.check(root, done),  # type: ignore[misc]
        )
        inner = record(again)
        with scratch() as name:
            for second in states(inner, chance.getrandbits(32), limit=limit):
                _look(again, inner, second, Path(name) / "cut")
                count += 1
    return count


def _look(scenario: Scenario, log: Log, state: State, root: Path) -> None:
    lay_out(state.tree, root)
    try:
        scenario.check(root, state.done)
    except (AssertionError, ShoestringError) as error:
        tree = {name: data if data is None else data[:60] for name, data in state.tree.items()}
        last = [f"{place}: {op}" for place, op in enumerate(log.ops[: state.place])][-12:]
        raise BrokenError(f"after {last}, with {state.done} done, the medium holds {tree}: {error!r}") from error
