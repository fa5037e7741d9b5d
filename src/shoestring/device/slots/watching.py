"""Whoever runs a bundle from the slots: confirms it, gives it up, and leaves when another one is active.

It is told of every decision of the governor, once a second, and needs no thread of its own.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shoestring.base.errors import BundleError, EngineError, GoldenError, ShoestringError
from shoestring.device.live.listeners import Forecast, Listener
from shoestring.device.slots.nouns import TRIAL
from shoestring.device.slots.record import RECORD, read_record
from shoestring.device.slots.trial import Progress, Rules, after, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shoestring.device.governor.nouns import Decision, Limits, Work
    from shoestring.device.governor.state import State
    from shoestring.device.sensors.readings import Readings
    from shoestring.device.slots.nouns import Held
    from shoestring.device.slots.slots import Slots
    from shoestring.device.supervise.nouns import RungState

LOOK_S = 5.0
"""Between two looks at the record: at the file's times alone, until they change."""


class Watching(Listener):
    """Watches one start of one bundle.

    Args:
        slots: that it was begun from; `began` tells what was active then.
        held: what `begin` handed out.
        rules: of its trial.
        say: takes lines for people.
        clock: monotonic, s.

    Attributes:
        leaving: why this process should end and begin again; None while it should go on.
    """

    name = "slots"

    def __init__(
        self,
        slots: Slots,
        held: Held,
        rules: Rules,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots, self._held, self._rules, self._say, self._clock = slots, held, rules, say, clock
        self._began = slots.began
        self._open = held.state == TRIAL
        self._progress = Progress(clock())
        self._looked_s = clock()
        self._times: tuple[int, int, int] | None = None
        self._rungs: Callable[[], Sequence[RungState]] = lambda: ()
        self.leaving: str | None = None

    def attach(self, rungs: Callable[[], Sequence[RungState]]) -> None:
        """Tell where the state of the rungs can be had; without it nothing is given up but for faults.

        Args:
            rungs: as `Engine.rungs`.
        """
        self._rungs = rungs

    def begins(self, limits: Limits) -> None:
        """A rung is loaded; what that took is no part of the trial."""
        self._progress = Progress(self._clock())

    def decision(
        self, before: State, decision: Decision, readings: Readings, work: Work, forecast: Forecast | None
    ) -> None:
        self.counted(work.answered, sum(count for _, count in work.failed))

    def counted(self, answered: int, failed: int) -> None:
        """So many examples were answered, and so many engines broke, since the last call.

        Raises:
            StorageError: the record cannot be read or written; the next call tries again.
        """
        now_s = self._clock()
        self._progress = after(self._progress, answered, failed, now_s)
        if self._open:
            self._judge(now_s, failed > 0)
        if self.leaving is None and now_s - self._looked_s >= LOOK_S:
            self._look()
            self._looked_s = now_s

    def blames(self, error: ShoestringError) -> bool:
        """Whether an error that ended the run ends the trial of the bundle too; then the previous one is active again.

        Raises:
            StorageError: the record cannot be written.
        """
        if not self._open or not isinstance(error, (BundleError, GoldenError, EngineError)):
            return False  # a policy that cannot be read, say, is nothing that the bundle did
        self._give_up("crashed" if isinstance(error, EngineError) else "golden", error.message)
        return True

    def ended(self) -> None:
        """The run came to its end in good order: its start is not held against a bundle on trial.

        Raises:
            StorageError: the record cannot be written.
        """
        if self._open:
            self._slots.end(self._held)
            self._open = False

    def _judge(self, now_s: float, failed: bool) -> None:
        well = verdict(self._progress, self._rules, now_s)
        # Not every time: the engine answers this question between two frames, and one may take long.
        rungs = self._rungs() if failed or well else ()
        why = next((rung.why for rung in rungs if rung.why), "")
        if rungs and all(rung.state in ("refused", "resting") for rung in rungs):
            self._give_up("crashed", f"no rung answers any more: {why}")
            return
        if well is False:
            self._give_up("crashed", f"its engines broke {self._progress.faults} times: {why}")
        elif well:
            self._slots.confirm(self._held)
            self._open = False
            self._say(f"the bundle {self._held.sha256[:12]} served well: it is good from now on")

    def _give_up(self, reason: str, words: str) -> None:
        back = self._slots.fail(reason, words, self._held)
        self._open = False
        after = "there is none to go back to" if back is None else "the one before is active again"
        self.leaving = f"the bundle {self._held.sha256[:12]} is refused, and {after}: {words}"

    def _look(self) -> None:
        try:
            found = (self._slots.root / RECORD).stat()
        except OSError:
            return  # a missing record is for the next start to find
        times = (found.st_mtime_ns, found.st_ino, found.st_size)
        if times == self._times:
            return
        record, trouble = read_record(self._slots.root)
        self._times = times
        if trouble is not None:
            return  # likewise: what runs is well
        if record.active is None:
            self.leaving = "no bundle is active any more"
        elif record.active.sha256 != self._began:
            self.leaving = f"the bundle {record.active.sha256[:12]} is active now"


__all__ = ["LOOK_S", "Watching"]
