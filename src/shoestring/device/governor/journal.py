"""Every move as one line of JSON, with all that is needed to decide it again.

Each line names the SHA-256 of the line before it, so a line that was changed, lost or put in between is found; who can
write the whole file can write another whole file, and only a signature would tell.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring._version import __version__
from shoestring.base import canonical, disk
from shoestring.base.errors import DataError
from shoestring.device.governor.model import BoardModel
from shoestring.device.governor.nouns import Decision, Limits, RungPlan, Work
from shoestring.device.governor.state import State
from shoestring.device.sensors.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.device.governor.policy import Policy

FORMAT = 1
FIRST = "0" * 64
MOST_BYTES = 8 << 20
"""Of one file; a move takes some 2 kB, so this and the one put aside hold months of a day with a hundred of them."""
LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class Header:
    """What a policy was made of; the first line of a file, and again after each start.

    Args:
        before: SHA-256 of the line before, in hexadecimal digits; zeros where there is none.
        board, limits, plans: of the policy.
        format: of the file.
        version: of the software.
        wall_s: Unix time.
    """

    before: str
    board: BoardModel | None
    format: int
    limits: Limits
    plans: tuple[RungPlan, ...]
    version: str
    wall_s: float
    kind: str = "header"


@dataclass(frozen=True)
class Move:
    """One decision that changed something.

    Args:
        before, wall_s: as above.
        state, readings, work: what the policy was given; its clock is `decision.at_s`.
        decision: its answer.
    """

    before: str
    decision: Decision
    readings: Readings
    state: State
    wall_s: float
    work: Work
    kind: str = "move"


@dataclass(frozen=True)
class Stop:
    """The governor came to an end, in good order.

    Args:
        before, wall_s: as above.
        at_s: of the policy's clock.
    """

    at_s: float
    before: str
    wall_s: float
    kind: str = "stop"


Entry = Header | Move | Stop


class Journal:
    """Writes lines; each is on the disk when its call returns.

    Args:
        path: JSONL file; one that is there is continued. When it is full it becomes `path` with `.1` behind, over the
            last one.
        policy: whose decisions they are.
        wall: Unix time.
        most_bytes: of one file, above a few lines.

    Raises:
        StorageError: the disk refused; also from every other call.
    """

    def __init__(
        self, path: Path, policy: Policy, *, wall: Callable[[], float] = time.time, most_bytes: int = MOST_BYTES
    ) -> None:
        self.path = Path(path)
        self._policy, self._wall, self._most = policy, wall, most_bytes
        with disk.storage_errors(self.path):
            self._size = self.path.stat().st_size if self.path.exists() else 0
            self._before = _last(self.path) if self._size else FIRST
        self._at_s = 0.0
        if self._size:
            self._mend()
        self._header()

    def moved(self, state: State, readings: Readings, work: Work, decision: Decision) -> None:
        """Note a decision, with the state that it was made from."""
        self._at_s = decision.at_s
        self._write(Move(self._before, decision, readings, state, self._wall(), work))

    def stopped(self, at_s: float) -> None:
        """Note the end."""
        self._write(Stop(at_s, self._before, self._wall()))

    def _header(self) -> None:
        policy = self._policy
        self._put(Header(self._before, policy.board, FORMAT, policy.limits, policy.plans, __version__, self._wall()))

    def _write(self, entry: Move | Stop) -> None:
        if self._size + len(canonical.encode(entry)) > self._most:
            disk.put_aside(self.path, aside(self.path))
            self._size = 0
            self._header()
            entry = _behind(entry, self._before)
        self._put(entry)

    def _put(self, entry: Entry) -> None:
        line = canonical.encode(entry)
        disk.append_bytes(self.path, line + b"\n")
        self._size += len(line) + 1
        self._before = canonical.sha256_hex(line)

    def _mend(self) -> None:
        """A line that a power cut left half written is closed; readers say so."""
        with disk.storage_errors(self.path), self.path.open("rb") as stream:
            stream.seek(-1, 2)
            whole = stream.read(1) == b"\n"
        if not whole:
            disk.append_bytes(self.path, b"\n")
            self._size += 1


class Journalled:
    """A policy whose moves are journalled; it is asked like the policy itself.

    Args:
        policy: that decides.
        journal: of it.
    """

    def __init__(self, policy: Policy, journal: Journal) -> None:
        self._policy, self._journal = policy, journal

    def start(self) -> State:
        """Before the first decision."""
        return self._policy.start()

    def decide(self, state: State, readings: Readings, work: Work, now_s: float) -> tuple[State, Decision]:
        """As `Policy.decide`; a decision that moved is on the disk when this returns. Raises StorageError."""
        after, decision = self._policy.decide(state, readings, work, now_s)
        if decision.moved:
            self._journal.moved(state, readings, work, decision)
        return after, decision


def aside(path: Path) -> Path:
    """Where the file before this one lies."""
    return path.with_name(path.name + ".1")


def parsed(line: bytes, where: str) -> Entry:
    """One line read back. Raises DataError that says what is wrong with it."""

    def error(why: str) -> DataError:
        return DataError(f"{where}: {why}", hint="the file was changed, or a power cut left a part of a line")

    if len(line) > LONGEST_LINE:
        raise error(f"a line of {len(line)} bytes, the limit is {LONGEST_LINE}")
    if b'"kind":"move"' in line:
        return canonical.decode(line, Move, error)
    if b'"kind":"header"' in line:
        return canonical.decode(line, Header, error)
    if b'"kind":"stop"' in line:
        return canonical.decode(line, Stop, error)
    raise error("neither a header, a move nor a stop")


def _behind(entry: Move | Stop, before: str) -> Move | Stop:
    if isinstance(entry, Stop):
        return Stop(entry.at_s, before, entry.wall_s)
    return Move(before, entry.decision, entry.readings, entry.state, entry.wall_s, entry.work)


def _last(path: Path) -> str:
    """SHA-256 of the last line of a file, whole or not."""
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - LONGEST_LINE))
        lines = [line for line in stream.read().split(b"\n") if line]
    return canonical.sha256_hex(lines[-1]) if lines else FIRST
