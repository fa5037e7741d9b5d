"""The journal under power cuts, kills and refusing disks: a line whose call returned stays, and the next one comes."""

from __future__ import annotations

from pathlib import Path

import faults
import killing
import power
from governing import ladder, model_of
from shoestring.base.errors import DataError
from shoestring.device.governor import Limits, Policy
from shoestring.device.governor.journal import Header, Journal, Stop, aside, parsed

POLICY = Policy(ladder(), Limits(rate=30.0, celsius=75.0), model_of("raspberry-pi-4b-4gb"))
NAME = "journal.jsonl"


def _journal(root: Path, most_bytes: int = 8 << 20) -> Journal:
    return Journal(root / NAME, POLICY, wall=lambda: 1.8e9, most_bytes=most_bytes)


def _before(root: Path) -> None:
    _journal(root).stopped(0.0)


def _act(root: Path, done: power.Done) -> None:
    """Three lines more, the last of which needs a new file."""
    size = (root / NAME).stat().st_size
    journal = _journal(root, most_bytes=2 * size + 50)
    for second in (1.0, 2.0, 3.0):
        journal.stopped(second)
        done(str(second))


def _stops(root: Path) -> set[float]:
    """Seconds of the whole lines of both files."""
    found = set()
    for path in (aside(root / NAME), root / NAME):
        for line in path.read_bytes().split(b"\n") if path.exists() else ():
            try:
                entry = parsed(line, "here")
            except DataError:
                continue
            if isinstance(entry, Stop):
                found.add(entry.at_s)
    return found


def _check(root: Path, done: tuple[str, ...]) -> None:
    assert _stops(root) >= {0.0, *map(float, done)}
    journal = _journal(root)
    journal.stopped(9.0)
    assert _stops(root) >= {0.0, 9.0, *map(float, done)}
    *_, header, stop = [line for line in (root / NAME).read_bytes().split(b"\n") if line]
    assert isinstance(parsed(header, "here"), Header) and isinstance(parsed(stop, "here"), Stop)


SCENARIO = power.Scenario(_before, _act, _check)


def test_a_line_whose_call_returned_stays() -> None:
    log = power.record(SCENARIO)
    assert any(op.kind == "rename" for op in log.ops), "the file was to be put aside"
    assert power.cut(SCENARIO, seed=1, log=log) > 40


def test_each_fsync_is_needed_but_those_of_headers() -> None:
    """The line behind a header is synced too, and nothing is said in between."""
    assert power.drop_each(SCENARIO, seed=1) == [f"bytes of {NAME}"] * 2


def test_a_kill_at_any_system_call_loses_no_line() -> None:
    def act(root: Path) -> None:
        _act(root, lambda _label: None)

    def check(root: Path, finished: bool) -> None:
        _check(root, ("1.0", "2.0", "3.0") if finished else ())

    assert killing.at_every_call(killing.Work(_before, act, check)).killed > 30


def test_a_disk_that_refuses_leaves_whole_lines() -> None:
    """Whatever was refused, each line is there or not, and the next start adds its own."""
    full = frozenset({0.0, 1.0, 2.0, 3.0})

    def act(root: Path) -> None:
        _act(root, lambda _label: None)

    def again(root: Path) -> None:
        journal = _journal(root)
        for second in (1.0, 2.0, 3.0):
            journal.stopped(second)

    attempt = faults.Attempt(
        _before, act, lambda root: frozenset(_stops(root)), lambda state: 0.0 in state and state <= full, again
    )
    assert faults.at_every_point(attempt) > 100
