"""What there is to tell: the difference between what was told and what is. Pure.

Nothing is remembered between looks but what was told, so whatever happened while nobody looked (the agent was off, the
power was cut) is told at the next look, and nothing is told twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TOLD_FORMAT = 1
MAX_TOLD = 256
"""Refused bundles that are remembered as told: more than the slots keep."""


@dataclass(frozen=True)
class Failed:
    """A bundle that failed here.

    Args:
        bundle_sha256: of it.
        reason: why, for people.
        revoked: whether its owner took it back, and it did nothing wrong here.
    """

    bundle_sha256: str
    reason: str
    revoked: bool = False


@dataclass(frozen=True)
class Scene:
    """What the slots show.

    Args:
        active: hash of the bundle that runs; empty: none does.
        trial: whether it is still on trial.
        counter: of the newest release that asked for it; 0: none did.
        failed: bundles that failed here, oldest first.
    """

    active: str
    trial: bool
    counter: int
    failed: tuple[Failed, ...]


@dataclass(frozen=True)
class Outlook:
    """What the last look at the repository found.

    Args:
        state: `good`, `stale`, `bad-repository` or `unreachable`.
        reason: what is wrong, for people.
        counter: of the newest release; 0: none was seen.
        bundle_sha256: that it asks for; empty likewise.
        refusal: why that bundle was not even fetched; empty: it was, or runs.
        refusal_key: changes when there is a new refusal to tell.
        note: something worth telling about how the active bundle came here.
    """

    state: str = "good"
    reason: str = ""
    counter: int = 0
    bundle_sha256: str = ""
    refusal: str = ""
    refusal_key: str = ""
    note: str = ""


@dataclass(frozen=True)
class Told:
    """What whoever collects knows once all reports so far are there.

    Args:
        format: TOLD_FORMAT.
        active: hash.
        trial, counter: see `Scene`.
        failed: hashes.
        repository: state of it.
        refusal_key: see `Outlook`.
    """

    format: int = TOLD_FORMAT
    active: str = ""
    trial: bool = False
    counter: int = 0
    failed: tuple[str, ...] = ()
    repository: str = "good"
    refusal_key: str = ""


@dataclass(frozen=True)
class Fact:
    """One thing to tell.

    Args:
        state: one of `domain.report.STATES`.
        bundle_sha256: that it is about.
        counter: of the release that it is about; 0 where that is not known.
        reason: of a failure.
        told: once it is.
    """

    state: str
    bundle_sha256: str
    counter: int
    reason: str
    told: Told


def facts(told: Told, scene: Scene, outlook: Outlook, *, heartbeat: bool = False) -> Iterator[Fact]:
    """What to tell, in order.

    Args:
        told: so far.
        scene: now.
        outlook: of the last look at the repository.
        heartbeat: whether to say how it stands even where nothing has changed.
    """
    for failed in scene.failed:
        if failed.bundle_sha256 in told.failed:
            continue
        ran = failed.bundle_sha256 == told.active
        told = replace(told, failed=(*told.failed, failed.bundle_sha256)[-MAX_TOLD:])
        if failed.revoked and not ran:
            continue  # it stood by as a way back, and does no more
        known = {outlook.bundle_sha256: outlook.counter, **({told.active: told.counter} if ran else {})}
        counter = known.get(failed.bundle_sha256, 0)
        yield Fact("rolled-back" if ran else "refused", failed.bundle_sha256, counter, failed.reason, told)
    if outlook.refusal and outlook.refusal_key != told.refusal_key:
        told = replace(told, refusal_key=outlook.refusal_key)
        if outlook.bundle_sha256 not in told.failed:
            yield Fact("refused", outlook.bundle_sha256, outlook.counter, outlook.refusal, told)
    if outlook.state not in ("good", told.repository):
        told = replace(told, repository=outlook.state)
        yield Fact(outlook.state, "", 0, outlook.reason, told)
    mended = outlook.state == "good" != told.repository
    # What a newer release asks for in vain takes nothing from the number that the active bundle was told under.
    counter = max(scene.counter, told.counter) if scene.active == told.active else scene.counter
    moved = (scene.active, scene.trial, counter) != (told.active, told.trial, told.counter)
    if scene.active and (moved or mended or heartbeat):
        repository = "good" if mended else told.repository
        told = replace(told, active=scene.active, trial=scene.trial, counter=counter, repository=repository)
        note = outlook.note if moved else ""
        yield Fact("trial" if scene.trial else "good", scene.active, counter, note, told)


__all__ = ["MAX_TOLD", "TOLD_FORMAT", "Fact", "Failed", "Outlook", "Scene", "Told", "facts"]
