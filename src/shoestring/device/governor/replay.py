"""A journal read back: is each line the one that was written, and would the policy decide the same again?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring._version import __version__
from shoestring.base import canonical
from shoestring.base.errors import DataError, ShoestringError
from shoestring.device.governor.journal import FIRST, FORMAT, Entry, Header, Move, aside, parsed
from shoestring.device.governor.policy import Policy

if TYPE_CHECKING:
    from pathlib import Path

    from shoestring.device.governor.nouns import Decision

CLOSE = 1e-6
"""Relative: exponentials differ in their last digit between processors."""


@dataclass(frozen=True)
class Replayed:
    """A journal and what is to be said of it.

    Args:
        entries: in the order of the file.
        problems: lines that were changed, lost, or whose decision does not follow; empty where all is well.
        notes: what need not be wrong: the beginning was put aside long ago, a power cut, another version.
        moves: how many decisions were made again.
    """

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    moves: int


def replay(path: Path) -> Replayed:
    """Read a journal, with the file that was put aside before it, and decide every move again.

    Raises:
        DataError: there is no such file, or no line in it.
    """
    lines = [line for file in (aside(path), path) if file.exists() for line in _lines(file)]
    if not lines:
        raise DataError(f"{path} holds no decisions", hint="`shoestring serve` and `run` write it with --decisions")
    entries: list[Entry] = []
    problems: list[str] = []
    notes: list[str] = []
    before, policy, moves = None, None, 0
    for number, (where, line) in enumerate(lines):
        try:
            entry = parsed(line, where)
        except DataError as error:
            torn = number + 1 == len(lines) or b'"kind":"header"' in lines[number + 1][1]
            (notes if torn else problems).append(error.message)
            before = canonical.sha256_hex(line)
            continue
        if before is None and entry.before != FIRST:
            notes.append(f"{where}: lines before this one were put aside and are gone")
        elif before is not None and entry.before != before:
            problems.append(f"{where}: the line before it is not the one that was written")
        before = canonical.sha256_hex(line)
        entries.append(entry)
        if isinstance(entry, Header):
            policy = _policy(entry, where, problems, notes)
        elif isinstance(entry, Move) and policy is not None:
            moves += 1
            why = differs(policy, entry)
            if why is not None:
                problems.append(f"{where}: {why}")
    return Replayed(tuple(entries), tuple(problems), tuple(notes), moves)


def differs(policy: Policy, move: Move) -> str | None:
    """Decide it again; None where the answer is the same."""
    if len(move.state.busy_s) != len(policy.plans):
        return f"a state of {len(move.state.busy_s)} rungs, the policy has {len(policy.plans)}"
    try:
        _, again = policy.decide(move.state, move.readings, move.work, move.decision.at_s)
    except (KeyError, ValueError, ArithmeticError) as error:  # a state that no policy can have left
        return f"cannot be decided again: {error!r}"
    return _difference(move.decision, again)


def _difference(logged: Decision, again: Decision) -> str | None:
    if (logged.rung, logged.reason, logged.moved) != (again.rung, again.reason, again.moved):
        return f"it says {logged.rung} for {logged.reason!r}, the policy {again.rung} for {again.reason!r}"
    if not math.isclose(logged.rate, again.rate, rel_tol=CLOSE):
        return f"it says {logged.rate:g}/s, the policy {again.rate:g}/s"
    for name in sorted(logged.numbers.keys() | again.numbers.keys()):
        mine, other = logged.numbers.get(name), again.numbers.get(name)
        same = mine == other
        if isinstance(mine, float) and isinstance(other, float):
            same = math.isclose(mine, other, rel_tol=CLOSE, abs_tol=CLOSE)
        if not same:
            return f"it says {name} {mine}, the policy {other}"
    return None


def _policy(header: Header, where: str, problems: list[str], notes: list[str]) -> Policy | None:
    if header.format != FORMAT:
        problems.append(f"{where}: format {header.format}, this version reads {FORMAT}")
        return None
    if header.version != __version__:
        notes.append(f"{where}: written by version {header.version}, decided again by {__version__}")
    try:
        return Policy(header.plans, header.limits, header.board)
    except ShoestringError as error:
        problems.append(f"{where}: {error.message}")
        return None


def _lines(file: Path) -> list[tuple[str, bytes]]:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}") from error
    return [(f"{file.name} line {i}", line) for i, line in enumerate(data.split(b"\n"), 1) if line]
