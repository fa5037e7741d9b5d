"""A journal in words for people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from shoestring.device.governor.journal import Move, Stop
from shoestring.device.governor.moves import COUNTED
from shoestring.device.governor.replay import replay

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from shoestring.device.governor.journal import Entry
    from shoestring.device.governor.nouns import Decision
    from shoestring.device.governor.replay import Replayed

RESTING = "rest"


@dataclass(frozen=True)
class Explained:
    """What a journal tells.

    Args:
        lines: one for each move.
        by_reason: reason and how many moves it had, the most frequent first.
        hours: rung (or `rest`) and how long it ran, the longest first.
        counted: moves of the rung, or of the rate by more than a tenth.
        replayed: whether every line is the one that was written.
    """

    lines: tuple[str, ...]
    by_reason: tuple[tuple[str, int], ...]
    hours: tuple[tuple[str, float], ...]
    counted: int
    replayed: Replayed


def explain(path: Path, zone: tzinfo | None = None) -> Explained:
    """Read a journal, decide every move again, and say it in words.

    Args:
        path: as `Journal` wrote it.
        zone: of the clock times; None is the machine's own.

    Raises:
        DataError: there is nothing to read.
    """
    replayed = replay(path)
    moves = [entry for entry in replayed.entries if isinstance(entry, Move)]
    lines: list[str] = []
    mark: tuple[str | None, float] = (None, 0.0)
    counted = 0
    for move in moves:
        lines.append(words(move, zone))
        rung, rate = move.decision.rung, move.decision.rate
        if rung != mark[0] or abs(rate - mark[1]) > COUNTED * mark[1]:
            mark, counted = (rung, rate), counted + 1
    by_reason = Counter(move.decision.reason for move in moves)
    return Explained(tuple(lines), tuple(by_reason.most_common()), _hours(replayed.entries), counted, replayed)


def words(move: Move, zone: tzinfo | None = None) -> str:
    """`14:03:12 int8@native at 12/s -> int8-small at 10/s: heat, 79.6 C; ...`"""
    decision, course = move.decision, move.state.course
    clock = datetime.fromtimestamp(move.wall_s, zone).strftime("%H:%M:%S")
    before = named(course.rung, course.rate)
    why = SENTENCES.get(decision.reason, _plain)(decision)
    return f"{clock} {before} -> {named(decision.rung, decision.rate)}: {why}"


def named(rung: str | None, rate: float) -> str:
    """A rung at its rate, or rest."""
    return RESTING if rung is None or rate <= 0 else f"{rung} at {rate:.3g}/s"


def _number(decision: Decision, name: str, form: str = ".1f", unit: str = "") -> str | None:
    value = decision.numbers.get(name)
    return None if not isinstance(value, float) else f"{value:{form}}{unit}"


def _heat(decision: Decision) -> str:
    peak, ahead = _number(decision, "peak_celsius", unit=" C"), _number(decision, "peak_in_s", ".0f", " s")
    limit, now = _number(decision, "limit_celsius", unit=" C"), _number(decision, "celsius", unit=" C")
    after, later = _number(decision, "forecast_celsius", unit=" C"), _number(decision, "forecast_in_s", ".0f", " s")
    found = [f"it would have been {peak} in {ahead}" if ahead != "0 s" else f"it is {peak}", f"limit {limit}"]
    if now is not None:
        found.append(f"now {now}")
    if after is not None:
        found.append(f"forecast {after} in {later}")
    elif decision.numbers.get("thermal_model") is False:
        found.append("no thermal model of this board: only the slope is known")
    return "heat: " + ", ".join(found)


def _fan(decision: Decision) -> str:
    state = "the fan seems to stand still" if decision.numbers.get("fan_stopped") else "room for a fan that stops"
    return f"{state}; {_heat(decision)}"


def _hot(decision: Decision) -> str:
    air = _number(decision, "air_celsius", ".0f", " C")
    rests = "a quarter of the load" if air is None else f"what holds in air of {air}"
    return f"no believable temperature: {rests}, limit {_number(decision, 'limit_celsius', '.0f', ' C')}"


def _watts(decision: Decision) -> str:
    allowed = _number(decision, "watts_allowed", ".2f", " W")
    asked = _number(decision, "watts_asked", ".2f", " W")
    return f"{decision.reason}: {allowed} above idle are allowed, {asked} now asked"


def _climb(decision: Decision) -> str:
    after, later = _number(decision, "forecast_celsius", unit=" C"), _number(decision, "forecast_in_s", ".0f", " s")
    limit = _number(decision, "limit_celsius", unit=" C")
    room = f", forecast {after} in {later}, limit {limit}" if after is not None and limit is not None else ""
    return (
        f"room for more: {_number(decision, 'watts_allowed', '.2f', ' W above idle allowed') or 'no limit binds'}{room}"
    )


def _plain(decision: Decision) -> str:
    told = {
        "start": "the first choice",
        "steady": "nothing changed",
        "memory": "too little memory is free",
        "deadline": "answers come too late",
        "failed": "its engine failed",
        "busy": "more is asked than it can do",
        "limits": "it is none of those that may run",
        "no effect": "the climb brought nothing",
    }
    return told.get(decision.reason, decision.reason)


SENTENCES: dict[str, Callable[[Decision], str]] = {
    "heat": _heat,
    "fan": _fan,
    "assume hot": _hot,
    "watts": _watts,
    "battery": _watts,
    "under-voltage": _watts,
    "climb": _climb,
}


def _hours(entries: Sequence[Entry]) -> tuple[tuple[str, float], ...]:
    """Hours of each rung: from each move to the next line of the same run."""
    found: dict[str, float] = {}
    since: Move | None = None
    for entry in entries:
        if since is not None and isinstance(entry, (Move, Stop)):
            until = entry.at_s if isinstance(entry, Stop) else entry.decision.at_s
            rung = since.decision.rung or RESTING
            found[rung] = found.get(rung, 0.0) + max(0.0, until - since.decision.at_s) / 3600
        since = entry if isinstance(entry, Move) else None
    return tuple(sorted(found.items(), key=lambda one: -one[1]))
