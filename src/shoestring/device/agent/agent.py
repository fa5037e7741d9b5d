"""One look of the agent: ask, decide, fetch, activate; and see what there is to tell.

Every step can be cut at any point and is done again at the next look: what is on the disk says how far it came. Only
the order matters: a counter is remembered before its bundle is fetched, a fact is in the queue before it is told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shoestring.base import disk
from shoestring.base.errors import (
    EngineError,
    RepositoryError,
    ShoestringError,
    SlotError,
    StaleError,
    StorageError,
    UnreachableError,
)
from shoestring.device.agent.fetching import obtain, sweep
from shoestring.device.agent.memory import read_memory, remember
from shoestring.device.agent.policy import (
    FetchDelta,
    FetchWhole,
    Refuse,
    Resting,
    RollBack,
    Standing,
    decide,
    seen_after,
)
from shoestring.device.agent.reporting import told_of
from shoestring.device.agent.watching import Failed, Outlook, Scene, Told, facts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shoestring.device.agent.fetching import Repository
    from shoestring.device.agent.queue import ReportQueue
    from shoestring.device.agent.reporting import Teller
    from shoestring.device.slots import Slots
    from shoestring.domain.release import Release

MAX_STEPS = 3
"""Of one look: leave a revoked bundle, fetch the new one, find that nothing is left to do."""
HOW = {"here": "from this disk", "delta": "as a delta", "whole": "as a whole"}
REST_PERIODS = 4
"""Looks that a bundle is left alone for after a failure that may pass."""


@dataclass(frozen=True)
class Place:
    """Where an agent works, and as whom.

    Args:
        folder: of its own, below the slots.
        device: id.
        group: of the fleet.
        chip: as the catalogue names this device; None: nobody said.
        version: of this project.
        every_s: period of looking.
    """

    folder: Path
    device: str
    group: str
    chip: str | None
    version: str
    every_s: float


@dataclass(frozen=True)
class Look:
    """What came of a look.

    Args:
        outlook: what it found.
        did: `stayed`, `activated`, `rolled back`, `refused` or `failed`.
        words: for people.
        error: that it failed with; None: it did not.
    """

    outlook: Outlook
    did: str
    words: str
    error: ShoestringError | None = None

    @property
    def failed(self) -> bool:
        """Whether the next look waits as after a failure."""
        return self.error is not None


class Agent:
    """Follows one group's releases.

    Args:
        place: where and as whom.
        slots: of the device.
        repository: to ask.
        activate: puts a file into the slots for a release; raises SlotError for what speaks against it.
        clock: monotonic, s.
        say: told what happens, for people.
        queue, teller: where reports go; both None where nobody is told.

    Raises:
        StorageError: the folder cannot be made.
    """

    def __init__(
        self,
        place: Place,
        slots: Slots,
        repository: Repository,
        activate: Callable[[Path, Release], object],
        clock: Callable[[], float],
        say: Callable[[str], None],
        queue: ReportQueue | None = None,
        teller: Teller | None = None,
    ) -> None:
        self._place, self._slots, self._repository = place, slots, repository
        self._activate, self._clock, self._say = activate, clock, say
        self._queue, self._teller = queue, teller
        self._downloads = disk.make_directory(place.folder / "downloads")
        disk.sweep(place.folder)
        self._memory, trouble = read_memory(place.folder)
        if trouble:
            say(trouble)
        self._resting: Resting | None = None
        self._outlook = Outlook()
        self._told = Told() if queue is None else told_of(queue.mark)

    def look(self) -> Look:
        """Ask what to run, and see to it. Never raises what the world outside can bring about."""
        try:
            self._repository.refresh()
            release = self._repository.release(self._place.group, self._place.device)
            if release is None:
                found = Look(Outlook(), "stayed", f"nothing is released for group {self._place.group}")
            else:
                found = self._follow(release)
        except StaleError as error:
            found = self._failed("stale", error)
        except RepositoryError as error:
            found = self._failed("bad-repository", error)
        except UnreachableError as error:
            found = self._failed("unreachable", error)
        except (StorageError, EngineError) as error:
            found = Look(self._outlook, "failed", error.message, error)
        self._outlook = found.outlook
        return found

    def watch(self, *, heartbeat: bool = False) -> int:
        """Tell what there is to tell, also what happened while nobody looked.

        Args:
            heartbeat: whether to tell how it stands even where nothing has changed.

        Returns:
            How many facts.

        Raises:
            StorageError: the slots or the queue cannot be used; it is told at the next look then.
        """
        scene = self._scene()
        count = 0
        for fact in facts(self._told, scene, self._outlook, heartbeat=heartbeat):
            if self._queue is not None and self._teller is not None:
                self._teller.tell(self._queue, fact, scene.active)
            self._told = fact.told
            self._say(": ".join(part for part in (fact.state, fact.bundle_sha256[:12], fact.reason) if part))
            count += 1
        return count

    def _follow(self, release: Release) -> Look:
        seen = Outlook("good", "", release.counter, release.bundle_sha256)
        did, words = "stayed", ""
        for _ in range(MAX_STEPS):
            action = decide(self._standing(), release, self._clock())
            if isinstance(action, Refuse):
                return self._refused(seen, action)
            self._note(release)
            if isinstance(action, (FetchWhole, FetchDelta)):
                seen, words, over = self._take(release, action, seen)
                did = "refused" if over else "activated"
                if over:
                    break
            elif isinstance(action, RollBack):
                self._slots.revoke([action.revoked])
                did, words = "rolled back", f"the bundle {action.revoked[:12]} was revoked"
            else:
                words = words or f"release {release.counter} {action.why}"
                self._tidy(release)
                break
        return Look(seen, did, words)

    def _take(self, release: Release, action: FetchWhole | FetchDelta, seen: Outlook) -> tuple[Outlook, str, bool]:
        """Fetch and activate; the outlook, words, and whether it came to nothing."""
        delta = action.delta if isinstance(action, FetchDelta) else None
        try:
            got = obtain(self._repository, release, delta, self._held(), self._downloads)
            self._activate(got.path, release)
        except SlotError as error:
            self._rest(release)
            key = f"{release.counter} {error.reason}"
            return replace(seen, refusal=error.message, refusal_key=key), error.message, True
        except (StorageError, EngineError):  # no disk, no process: that is this device's trouble, not the bundle's
            self._rest(release)
            raise
        self._resting = None
        sweep(self._downloads, None)
        words = f"release {release.counter} ({release.name}) is active, on trial; it came {HOW[got.how]}"
        return replace(seen, note=got.note), f"{words}; {got.note}" if got.note else words, False

    def _refused(self, seen: Outlook, action: Refuse) -> Look:
        if action.reason in ("older", "twofold"):
            state = "stale" if action.reason == "older" else "bad-repository"
            error: ShoestringError = (StaleError if action.reason == "older" else RepositoryError)(action.words)
            return Look(Outlook(state, action.words), "refused", action.words, error)
        key = f"{seen.counter} {action.reason}"
        return Look(replace(seen, refusal=action.words, refusal_key=key), "refused", action.words)

    def _failed(self, state: str, error: ShoestringError) -> Look:
        old = self._outlook
        found = Outlook(state, error.message, old.counter, old.bundle_sha256)
        return Look(found, "failed", error.message, error)

    def _note(self, release: Release) -> None:
        held = self._memory.seen.get(self._place.group)
        seen = seen_after(held, release)
        if seen is not None and seen != held:
            self._memory = remember(self._place.folder, self._memory, self._place.group, seen)

    def _rest(self, release: Release) -> None:
        until_s = self._clock() + REST_PERIODS * self._place.every_s
        self._resting = Resting(release.bundle_sha256, until_s)

    def _tidy(self, release: Release) -> None:
        """A revoked bundle is no way back once the one after it has proved itself."""
        active, previous = self._slots.active(), self._slots.previous()
        if active is None or previous is None or active.state != "good" or active.sha256 in release.revoked:
            return
        if previous.sha256 in release.revoked:
            self._slots.revoke([previous.sha256])

    def _standing(self) -> Standing:
        record = self._slots.record()
        return Standing(
            None if record.active is None else record.active.sha256,
            None if record.previous is None else record.previous.sha256,
            frozenset(one.sha256 for one in record.refused),
            self._memory.seen.get(self._place.group),
            self._place.chip,
            self._place.version,
            self._resting,
        )

    def _held(self) -> dict[str, Path]:
        return {one.sha256: one.path for one in (self._slots.active(), self._slots.previous()) if one is not None}

    def _scene(self) -> Scene:
        record = self._slots.record()
        failed = tuple(
            Failed(one.sha256, f"{one.reason}: {one.words}", one.reason == "revoked") for one in record.refused
        )
        if record.active is None:
            return Scene("", False, 0, failed)
        seen = self._memory.seen.get(self._place.group)
        asked = seen is not None and seen.bundle_sha256 == record.active.sha256
        counter = seen.counter if seen is not None and asked else record.active.counter
        return Scene(record.active.sha256, record.state == "trial", counter, failed)


__all__ = ["Agent", "Look", "Place"]
