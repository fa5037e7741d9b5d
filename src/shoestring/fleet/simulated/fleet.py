"""A roll-out that goes wrong, among thousands of devices, some without network, some with wrong clocks.

The workshop follows its own rules: a good bundle runs everywhere; a bad one is published, looked at every six hours,
halted by what its first wave reports, and revoked; a mended one goes through all waves. In between the server is down
for a day, a part of the devices has no network for days, and some clocks tell any time.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shoestring.base import canonical
from shoestring.device.agent.pacing import pace_of
from shoestring.domain.release import bin_of
from shoestring.fleet.collect.memory import MemoryStore
from shoestring.fleet.collect.store import Received
from shoestring.fleet.error_rate import MAX_ERRORS, judge
from shoestring.fleet.roles import DEFAULT_WAVES, wave_shares
from shoestring.fleet.rollout import Wanted, Waves, next_wave, promoted, published, revoked
from shoestring.fleet.simulated.device import TRIAL_S, Device
from shoestring.fleet.simulated.world import (
    DAY_S,
    GROUP,
    HOUR_S,
    NEVER,
    SIGNED_FOR_S,
    START_S,
    Bundle,
    Outage,
    draw_clock,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Callable

LOOK_S = 3.0 * HOUR_S
"""Between two looks of a device: twelve times the usual, so that fifty fleets go through a week in minutes."""
OPERATOR_S = 6 * HOUR_S
PUBLISH_S = DAY_S
"""When the bad bundle is published, after the start."""
LONGEST_S = 40 * DAY_S
"""By then all is over, or it never will be."""


@dataclass(frozen=True)
class Plan:
    """What happens.

    Args:
        seed: of everything that is drawn.
        devices: how many.
        fails: share of devices that the bad bundle fails on.
        partition: share of devices that have no network for a while.
        wrong_clocks: share of devices whose clocks are wrong for a while.
        server_down_s: how long the server of repository and reports is away.
        waves: per cents.
        halted: whether reports can halt a roll-out; the saboteur says no.
    """

    seed: int
    devices: int
    fails: float = 0.5
    partition: float = 0.3
    wrong_clocks: float = 0.1
    server_down_s: float = DAY_S
    waves: tuple[int, ...] = DEFAULT_WAVES
    halted: bool = True


@dataclass
class Outcome:
    """What came of it.

    Args:
        took_bad: devices that ever ran the bad bundle.
        outside: of them those that do not belong to the first wave.
        converged_s: from the publication of the mended bundle until all devices had confirmed it; None: never.
        revoked_s: from the publication of the bad bundle until it was revoked; None: never.
        halts: how often promoting it was refused.
        dark: moments at which a device had nothing that runs.
        older: devices that took a release older than one before.
        reports: that the devices made; kept: of them those in the store, each once.
        failed: devices that the bad bundle failed on.
        looks: of all devices.
    """

    took_bad: int = 0
    outside: int = 0
    converged_s: float | None = None
    revoked_s: float | None = None
    halts: int = 0
    dark: int = 0
    older: int = 0
    reports: int = 0
    kept: int = 0
    failed: int = 0
    looks: int = 0


@dataclass
class Fleet:
    """All that moves; `run` lets it.

    Args:
        plan: what happens.
    """

    plan: Plan
    now_s: float = START_S
    outcome: Outcome = field(default_factory=Outcome)

    def __post_init__(self) -> None:
        plan, rng = self.plan, random.Random(f"fleet {self.plan.seed}")
        self.good, self.bad, self.mended = (_bundle(plan.seed, word) for word in ("good", "bad", "mended"))
        self.bad = Bundle(self.bad.wanted, plan.fails)
        self._bundles = {one.sha256: one for one in (self.good, self.bad, self.mended)}
        self._shares = wave_shares(plan.waves)
        self._wave_of = [wave for wave, shares in enumerate(self._shares) for _ in shares]
        self.waves: Waves = (None,) * len(plan.waves)
        self._release(published(self.waves, GROUP, self.good.wanted, START_S))
        while next_wave(self.waves) is not None:
            self._release(promoted(self.waves))
        down_s = START_S + PUBLISH_S + rng.uniform(0, 2 * DAY_S)
        self._server_down = Outage(down_s, down_s + plan.server_down_s)
        self._store = MemoryStore()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.devices = [self._device(rng, number) for number in range(plan.devices)]
        self._behind = len(self.devices)
        for device in self.devices:
            self._at(START_S + device.pace.first_s(), self._looking(device))
        self._at(START_S + PUBLISH_S, self._publish_bad)

    def run(self) -> Outcome:
        """Until every device has confirmed the mended bundle, or LONGEST_S is over."""
        while self._queue and self.outcome.converged_s is None:
            self.now_s, _, act = heapq.heappop(self._queue)
            if self.now_s > START_S + LONGEST_S:
                break
            act()
        return self._counted()

    def _device(self, rng: random.Random, number: int) -> Device:
        name = hashlib.sha256(f"device {self.plan.seed} {number}".encode()).hexdigest()
        away = NEVER
        if rng.random() < self.plan.partition:
            from_s = START_S + rng.uniform(0, 2 * DAY_S)
            away = Outage(from_s, from_s + rng.uniform(DAY_S, 3 * DAY_S))
        clock = draw_clock(rng, self.plan.wrong_clocks, START_S + rng.uniform(DAY_S, 6 * DAY_S))
        return Device(
            name, bin_of(GROUP, name), pace_of(name, LOOK_S), clock, away, rng.random(), self.good.sha256,
            ran=[self.good.sha256],
        )  # fmt: skip

    def _looking(self, device: Device) -> Callable[[], None]:
        def look() -> None:
            self._look(device)
            self._at(self.now_s + device.pace.next_s(device.failures), look)

        return look

    def _look(self, device: Device) -> None:
        """One look of a device at the repository, and what it has to tell."""
        self.outcome.looks += 1
        before = device.seen
        release = self.waves[self._wave_of[device.share]]
        reachable = not device.away.covers(self.now_s) and not self._server_down.covers(self.now_s)
        if not reachable:
            device.fail_look("unreachable", "no answer")
        elif device.time_s(self.now_s) > self._signed_s() + SIGNED_FOR_S:
            device.fail_look("stale", "its time is over")
        elif release is not None:
            device.failures = 0
            if device.settled is release:
                return  # rules are pure: what changed nothing last time changes nothing now
            if device.obey(release):
                self._at(self.now_s + TRIAL_S, lambda: self._end_trial(device, self._bundles[device.active]))
        if before is not None and device.seen is not None and device.seen.counter < before.counter:
            self.outcome.older += 1
        self.outcome.dark += device.trial and device.previous is None
        told = device.tell(self.now_s)
        if reachable and device.queue:
            self._deliver(device)
        quiet = not told and not device.trial and before == device.seen and device.outlook.state == "good"
        device.settled = release if quiet else None

    def _signed_s(self) -> float:
        """When the repository's freshest file was signed: once a day."""
        return self.now_s - (self.now_s - START_S) % DAY_S

    def _end_trial(self, device: Device, bundle: Bundle) -> None:
        device.end_trial(bundle)
        if bundle is self.mended and device.active == bundle.sha256:
            self._behind -= 1
            if self._behind == 0:
                self.outcome.converged_s = self.now_s - self._mended_s
        self.outcome.failed += bundle is self.bad and bundle.sha256 in device.refused

    def _deliver(self, device: Device) -> None:
        received = [Received(one, canonical.sha256_hex(repr(one).encode()), int(self.now_s)) for one in device.queue]
        self._store.add(received)
        device.queue.clear()

    def _publish_bad(self) -> None:
        self._release(published(self.waves, GROUP, self.bad.wanted, int(self.now_s)))
        self._at(self.now_s + OPERATOR_S, self._tend)

    def _tend(self) -> None:
        """The operator looks, every six hours."""
        found = next_wave(self.waves)
        if found is None:
            return
        _, release = found
        verdict = judge(self._store.tally(GROUP, release.bundle_sha256), MAX_ERRORS)
        if verdict.passes or not self.plan.halted:
            self._release(promoted(self.waves))
        elif release.bundle_sha256 == self.bad.sha256:
            self.outcome.halts += 1
            if verdict.tally.failed:
                self._revoke()
        self._at(self.now_s + OPERATOR_S, self._tend)

    def _revoke(self) -> None:
        now_s = int(self.now_s)
        self._release(revoked(self.waves, GROUP, self.bad.sha256, self.good.wanted, now_s))
        self.outcome.revoked_s = self.now_s - START_S - PUBLISH_S
        self._release(published(self.waves, GROUP, self.mended.wanted, now_s))
        self._mended_s = self.now_s

    def _release(self, waves: Waves) -> None:
        self.waves = waves

    def _at(self, when_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (when_s, next(self._order), act))

    def _counted(self) -> Outcome:
        outcome = self.outcome
        took = [device for device in self.devices if self.bad.sha256 in device.ran]
        outcome.took_bad = len(took)
        outcome.outside = sum(device.share not in self._shares[0] for device in took)
        for device in self.devices:
            if not device.away.covers(self.now_s):
                self._deliver(device)  # what is under way arrives
        outcome.reports = sum(device.sequence for device in self.devices)
        outcome.kept = len(self._store)
        return outcome


def _bundle(seed: int, word: str) -> Bundle:
    sha256 = hashlib.sha256(f"{word} {seed}".encode()).hexdigest()
    return Bundle(Wanted(sha256, 9_000_000, word, "0.1.0"), 0.0)
