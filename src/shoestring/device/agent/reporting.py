"""From what there is to tell to signed reports in the queue, and from the queue to whoever collects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base import canonical
from shoestring.base.errors import DataError
from shoestring.device.agent.sending import LATER, NEVER, TAKEN, Answer
from shoestring.device.agent.watching import TOLD_FORMAT, Told
from shoestring.domain.report import REPORT_FORMAT, Report
from shoestring.trust.sealed_report import MAX_REASON, seal_report

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoestring.device.agent.queue import ReportQueue
    from shoestring.device.agent.sending import Sender
    from shoestring.device.agent.watching import Fact
    from shoestring.trust.keys import PrivateKey

BATCH = 20
"""Reports sent in one go; after a long outage the rest follows at the next look, not all at once."""


@dataclass(frozen=True)
class Teller:
    """Who tells.

    Args:
        key: of the device.
        group: of the fleet.
        version: of this project.
        chip: of this device, as the catalogue or the machine names it.
        wall_s: the device's clock, s since 1970.
    """

    key: PrivateKey
    group: str
    version: str
    chip: str
    wall_s: Callable[[], float]

    def tell(self, queue: ReportQueue, fact: Fact, running: str) -> int:
        """Put one fact into the queue.

        Args:
            queue: to put it into.
            fact: to tell.
            running: hash of the bundle that answers now; empty where none does.

        Returns:
            Its number.

        Raises:
            StorageError: the disk refuses; then it is told at the next look.
        """

        def seal(sequence: int) -> str:
            report = Report(
                REPORT_FORMAT,
                self.key.public.key_id,
                self.group,
                sequence,
                max(0, int(self.wall_s())),
                fact.state,
                fact.counter,
                fact.bundle_sha256,
                running,
                plain_line(fact.reason),
                self.version,
                self.chip,
            )
            return seal_report(report, self.key).decode()

        return queue.add(seal, canonical.encode(fact.told).decode())


def told_of(mark: str) -> Told:
    """What has been told, from the mark of the newest report; nothing where there is none that we can read."""
    if not mark:
        return Told()
    try:
        told = canonical.decode(mark.encode(), Told, DataError)
    except DataError:
        return Told()  # of another version: it is told again
    return told if told.format == TOLD_FORMAT else Told()


def deliver(queue: ReportQueue, sender: Sender, most: int = BATCH) -> Answer:
    """Send what waits, oldest first, until one is not taken.

    Returns:
        The last answer; TAKEN where nothing waits any more or `most` went.

    Raises:
        StorageError: the disk refuses; what was taken may then be sent twice, which a collector sees by its number.
    """
    answer = Answer(TAKEN)
    for _ in range(most):
        entry = queue.first()
        if entry is None:
            return answer
        answer = sender.send(entry.envelope.encode())
        if answer.outcome == LATER:
            return answer
        if answer.outcome == NEVER:
            queue.rejected(entry)
        else:
            queue.sent(entry)
        if answer.retry_after_s:
            return Answer(LATER, "the collector asked for patience", answer.retry_after_s)
    return answer


def plain_line(words: str) -> str:
    """One line that a report may carry."""
    line = "".join(one if one.isprintable() else "?" for one in " ".join(words.split()))
    return line[:MAX_REASON]


__all__ = ["BATCH", "Teller", "deliver", "plain_line", "told_of"]
