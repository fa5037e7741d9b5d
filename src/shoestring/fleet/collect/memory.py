"""Reports in memory: a peer of the databases, for simulations and tests."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from shoestring.fleet.collect import questions
from shoestring.fleet.collect.store import KNOWN, OTHER, STORED, Count, Received

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.fleet.error_rate import Tally


class MemoryStore:
    """See `Store`; nothing of it is durable."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, int], Received] = {}
        self._about: defaultdict[tuple[str, str], list[Received]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._held)

    def add(self, received: Sequence[Received]) -> tuple[str, ...]:
        """See `Store`."""
        found = []
        for one in received:
            report = one.report
            held = self._held.setdefault((report.device, report.sequence), one)
            if held is one:
                self._about[report.group, report.bundle_sha256].append(one)
            found.append(STORED if held is one else KNOWN if held.sha256 == one.sha256 else OTHER)
        return tuple(found)

    def tally(self, group: str, bundle_sha256: str) -> Tally:
        """See `Store`."""
        rows = sorted(self._about[group, bundle_sha256], key=lambda one: (one.report.device, one.report.sequence))
        return questions.tally(
            (one.report.device, one.report.state, questions.plain(one.report.reason)) for one in rows
        )

    def counts(self) -> tuple[Count, ...]:
        """See `Store`."""
        last = {device: self._held[device, sequence].report for device, sequence in sorted(self._held)}
        counted = Counter((one.group, one.state, one.running_sha256) for one in last.values())
        rows = (Count(*key, number) for key, number in counted.items())
        return tuple(sorted(rows, key=lambda one: (one.group, -one.devices, one.state, one.running_sha256)))

    def forget(self, before_s: int) -> int:
        """See `Store`."""
        gone = [key for key, one in self._held.items() if one.received_s < before_s]
        for key in gone:
            del self._held[key]
        self._about.clear()
        for one in self._held.values():
            self._about[one.report.group, one.report.bundle_sha256].append(one)
        return len(gone)

    def close(self) -> None:
        """See `Store`."""
