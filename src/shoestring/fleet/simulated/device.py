"""One simulated device: the agent's own rules over a model of two slots, without disk or network."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from shoestring.device.agent.policy import (
    FetchDelta,
    FetchWhole,
    Refuse,
    RollBack,
    Seen,
    Standing,
    decide,
    seen_after,
)
from shoestring.device.agent.watching import Failed, Outlook, Scene, Told, facts
from shoestring.domain.report import REPORT_FORMAT, Report
from shoestring.fleet.simulated.world import GROUP

if TYPE_CHECKING:
    from shoestring.device.agent.pacing import Pace
    from shoestring.domain.release import Release
    from shoestring.fleet.simulated.world import Bundle, Outage, WrongClock

VERSION = "0.1.0"
CHIP = "raspberry-pi-4b-4gb"
MAX_STEPS = 3
"""Of one look, as `device.agent.agent` has it: leave a revoked bundle, fetch the new one, find nothing left to do."""
TRIAL_S = 600.0
"""From the start of a bundle on trial to its confirmation, or to the failure that ends it."""


@dataclass(slots=True)
class Device:
    """Where it stands; see `device.slots` for what the real one keeps on its disk.

    Args:
        name: its id.
        share: of the group.
        pace: of its looks.
        clock: of its own.
        away: when it has no network.
        luck: in [0, 1): a bundle fails here when it fails on more than this share of all devices.
        active: hash of the bundle that runs.
        counter: of the newest release that asked for it.
        previous, trial, refused: as the slots keep them.
        seen, floor_s, told, outlook, sequence, queue: as the agent keeps them.
        failures: looks that failed, one after the other.
        ran: hashes of what ran here, one after the other.
        settled: release that the last look changed nothing for; None: something changed since.
    """

    name: str
    share: int
    pace: Pace
    clock: WrongClock
    away: Outage
    luck: float
    active: str
    counter: int = 0
    previous: str | None = None
    trial: bool = False
    refused: dict[str, str] = field(default_factory=dict)
    seen: Seen | None = None
    failures: int = 0
    floor_s: float = 0.0
    told: Told = field(default_factory=Told)
    outlook: Outlook = field(default_factory=Outlook)
    sequence: int = 0
    queue: list[Report] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    settled: Release | None = None

    def standing(self) -> Standing:
        """As the rules want it."""
        refused = frozenset(self.refused)
        return Standing(self.active, self.previous, refused, self.seen, CHIP, VERSION)

    def time_s(self, now_s: float) -> float:
        """What it holds the end of metadata against: its clock, but not before what was signed (`trust.floor`)."""
        return max(self.clock.reads(now_s), self.floor_s)

    def obey(self, release: Release) -> bool:
        """Decide on a release and do it; whether a bundle went on trial."""
        self.floor_s = max(self.floor_s, release.issued_s)
        seen = Outlook("good", "", release.counter, release.bundle_sha256)
        began = False
        for _ in range(MAX_STEPS):
            action = decide(self.standing(), release, 0.0)
            if isinstance(action, Refuse):
                key = f"{release.counter} {action.reason}"
                seen = replace(seen, refusal=action.words, refusal_key=key)
                break
            self.seen = seen_after(self.seen, release)
            if isinstance(action, RollBack):
                self._run(action.to, None, trial=False)
            elif isinstance(action, (FetchWhole, FetchDelta)):
                # A bundle that never was confirmed is no way back: the good one before it stays it.
                self._run(release.bundle_sha256, self.previous if self.trial else self.active, trial=True)
                began = True
            else:
                break
        if self.active == release.bundle_sha256:
            self.counter = release.counter
        self.outlook = seen
        return began

    def _run(self, sha256: str, previous: str | None, *, trial: bool) -> None:
        self.active, self.previous, self.trial, self.counter = sha256, previous, trial, 0
        self.ran.append(sha256)

    def fail_look(self, state: str, reason: str) -> None:
        """The repository is out of reach, or its time is over: what runs goes on."""
        self.failures += 1
        self.outlook = Outlook(state, reason, self.outlook.counter, self.outlook.bundle_sha256)

    def end_trial(self, bundle: Bundle) -> None:
        """The trial of a bundle ends: it is confirmed, or the one before it runs again."""
        if not self.trial or self.active != bundle.sha256:
            return
        self.trial = False
        if self.luck < bundle.fails and self.previous is not None:
            self.refused[bundle.sha256] = "it crashed on trial"
            self._run(self.previous, None, trial=False)

    def tell(self, now_s: float) -> bool:
        """Queue what there is to tell, by the agent's own rules; whether there was something."""
        told = self.sequence
        failed = tuple(Failed(sha256, reason) for sha256, reason in self.refused.items())
        for fact in facts(self.told, Scene(self.active, self.trial, self.counter, failed), self.outlook):
            self.told = fact.told
            self.sequence += 1
            self.queue.append(
                Report(
                    REPORT_FORMAT,
                    self.name,
                    GROUP,
                    self.sequence,
                    max(0, int(self.clock.reads(now_s))),
                    fact.state,
                    fact.counter,
                    fact.bundle_sha256,
                    self.active,
                    fact.reason,
                    VERSION,
                    CHIP,
                )
            )
        return self.sequence > told
