"""What both databases are asked, in the SQL that they share. `{p}` stands for a place: `?` or `%s`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shoestring.domain.report import FAILURES
from shoestring.fleet.error_rate import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shoestring.fleet.collect.store import Received

COLUMNS = (
    ("device", "TEXT"), ("sequence", "BIGINT"), ("fleet_group", "TEXT"), ("state", "TEXT"), ("counter", "BIGINT"),
    ("bundle", "TEXT"), ("running", "TEXT"), ("reason", "TEXT"), ("version", "TEXT"), ("chip", "TEXT"),
    ("answers", "BIGINT"), ("errors", "BIGINT"), ("when_s", "BIGINT"), ("received_s", "BIGINT"), ("sha256", "TEXT"),
)  # fmt: skip
NAMES = tuple(name for name, _ in COLUMNS)
"""All that is kept of a report. No address: who sent it is the device's id."""
LAYOUT = 1
"""Of the tables; another one is refused."""

TABLE = (
    f"CREATE TABLE IF NOT EXISTS reports ({', '.join(f'{name} {kind} NOT NULL' for name, kind in COLUMNS)}, "
    "PRIMARY KEY (device, sequence))"
)
INDEXES = (
    "CREATE INDEX IF NOT EXISTS reports_by_bundle ON reports (fleet_group, bundle)",
    "CREATE INDEX IF NOT EXISTS reports_by_time ON reports (received_s)",
)
SETTINGS = "CREATE TABLE IF NOT EXISTS shoestring_fleet (layout BIGINT NOT NULL)"

INSERT = (
    f"INSERT INTO reports ({', '.join(NAMES)}) VALUES ({', '.join('{p}' for _ in NAMES)}) "
    "ON CONFLICT (device, sequence) DO NOTHING"
)
HELD = "SELECT sha256 FROM reports WHERE device = {p} AND sequence = {p}"
STATES = "SELECT device, state, reason FROM reports WHERE fleet_group = {p} AND bundle = {p} ORDER BY device, sequence"
LAST = (
    "SELECT r.fleet_group, r.state, r.running, COUNT(*) FROM reports r JOIN "
    "(SELECT device, MAX(sequence) AS sequence FROM reports GROUP BY device) l "
    "ON r.device = l.device AND r.sequence = l.sequence GROUP BY 1, 2, 3 ORDER BY 1, 4 DESC, 2, 3"
)
FORGET = "DELETE FROM reports WHERE received_s < {p}"


def row(received: Received) -> tuple[Any, ...]:
    """Values of NAMES."""
    one = received.report
    return (
        one.device, one.sequence, one.group, one.state, one.counter, one.bundle_sha256, one.running_sha256,
        plain(one.reason), one.version, one.chip, one.answers, one.errors, one.when_s, received.received_s,
        received.sha256,
    )  # fmt: skip


def plain(words: str) -> str:
    """Without characters that a terminal acts on or a database refuses."""
    return "".join(one if one.isprintable() else " " for one in words)


def tally(rows: Iterable[Sequence[Any]]) -> Tally:
    """Count devices of (device, state, reason): one failure outweighs whatever else a device said."""
    best: dict[str, tuple[str, str]] = {}
    for device, state, reason in rows:
        held = best.get(device, ("", ""))[0]
        if held in FAILURES or (held == "good" and state not in FAILURES):
            continue
        best[device] = (state, reason)
    reasons: dict[str, int] = {}
    for state, reason in best.values():
        if state in FAILURES:
            reasons[reason or "no reason"] = reasons.get(reason or "no reason", 0) + 1
    states = [state for state, _ in best.values()]
    return Tally(
        good=states.count("good"),
        failed=sum(state in FAILURES for state in states),
        trial=states.count("trial"),
        reasons=tuple(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
    )
