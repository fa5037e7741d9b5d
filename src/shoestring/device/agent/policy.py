"""What a device does about a release: a pure function, the same on a board and in a simulated fleet.

Rules, the first that applies decides:

1. A release with a smaller counter than one seen before is old, and refused; so is another bundle under a counter that
   was seen before: somebody tells devices different things under one number.
2. A release that asks for a bundle which it revokes makes no sense, and is refused.
3. An active bundle that is revoked gives way to the bundle before it at once, where that one may run. This comes before
   every rule about what to fetch: a device that cannot take the new bundle must still leave the revoked one.
4. What is active already needs nothing.
5. A bundle that failed here is never tried again.
6. A bundle for another chip, or for a newer version of this project, is refused.
7. After a failure that may pass (no space, a broken disk) the same bundle rests for a while.
8. A delta is taken where one starts from a bundle that is held and is smaller than the whole; else the whole. A bundle
   on trial is no reason to wait: the new one takes its slot, and the good one before it stays the way back.

A revoked bundle with nothing to go back to goes on until the new one is here: a dark device helps nobody, and an owner
who wants it dark can switch it off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoestring.domain.release import DeltaFrom, Release

REFUSALS = ("older", "twofold", "revoked", "refused-before", "chip", "version")


@dataclass(frozen=True)
class Seen:
    """The newest release of a group that was looked at.

    Args:
        counter: of it.
        bundle_sha256: that it asked for.
    """

    counter: int
    bundle_sha256: str


@dataclass(frozen=True)
class Resting:
    """A bundle that is left alone for a while.

    Args:
        bundle_sha256: of it.
        until_s: monotonic clock.
    """

    bundle_sha256: str
    until_s: float


@dataclass(frozen=True)
class Standing:
    """Where a device stands.

    Args:
        active: hash of the bundle that runs, on trial or for good; None: none does.
        previous: hash of the bundle before it that can be gone back to; None: there is none.
        refused: hashes of bundles that failed here.
        seen: newest release so far; None: none yet.
        chip: of this device, as the catalogue names it; None: not known.
        version: of this project here.
        resting: see `Resting`.
    """

    active: str | None
    previous: str | None
    refused: frozenset[str]
    seen: Seen | None
    chip: str | None
    version: str
    resting: Resting | None = None


@dataclass(frozen=True)
class Stay:
    """Do nothing.

    Args:
        why: `active` or `resting`.
    """

    why: str


@dataclass(frozen=True)
class FetchWhole:
    """Fetch the bundle of the release and activate it."""


@dataclass(frozen=True)
class FetchDelta:
    """Fetch a delta, make the bundle from one that is held, and activate it.

    Args:
        delta: which.
    """

    delta: DeltaFrom


@dataclass(frozen=True)
class RollBack:
    """Leave the revoked bundle for the one before it, now.

    Args:
        revoked: hash of the one to leave.
        to: hash of the one that runs then.
    """

    revoked: str
    to: str


@dataclass(frozen=True)
class Refuse:
    """Leave the release alone, and say so.

    Args:
        reason: one of REFUSALS.
        words: for people.
    """

    reason: str
    words: str


Action = Stay | FetchWhole | FetchDelta | RollBack | Refuse


def decide(standing: Standing, release: Release, now_s: float) -> Action:
    """What to do about a release.

    Args:
        standing: of the device.
        release: that the repository vouches for.
        now_s: monotonic clock; the wall clock of a board may be anything and decides nothing.
    """
    wanted = release.bundle_sha256
    old = _older(standing.seen, release)
    if old is not None:
        return old
    if wanted in release.revoked:
        return Refuse("revoked", f"release {release.counter} asks for the bundle {wanted}, which it revokes itself")
    back = _back(standing, release)
    if back is not None:
        return back
    if wanted == standing.active:
        return Stay("active")
    unfit = _unfit(standing, release)
    if unfit is not None:
        return unfit
    resting = standing.resting
    if resting is not None and resting.bundle_sha256 == wanted and now_s < resting.until_s:
        return Stay("resting")
    delta = _delta(standing, release)
    return FetchWhole() if delta is None else FetchDelta(delta)


def seen_after(seen: Seen | None, release: Release) -> Seen | None:
    """What has been seen once a release was decided on; only newer ones move it."""
    if seen is not None and release.counter <= seen.counter:
        return seen
    return Seen(release.counter, release.bundle_sha256)


def version_of(text: str) -> tuple[int, ...]:
    """`1.2.3` as numbers to compare; what comes after them (`.dev1`, `rc1`) does not count.

    Raises:
        ValueError: it does not start with a number.
    """
    found = re.match(r"\d{1,6}(\.\d{1,6}){0,3}", text, re.ASCII)
    if found is None:
        raise ValueError(f"{text!r} is not a version")
    numbers = [int(number) for number in found.group().split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        del numbers[-1]  # 1.2 and 1.2.0 are the same
    return tuple(numbers)


def _older(seen: Seen | None, release: Release) -> Refuse | None:
    if seen is None or release.counter > seen.counter:
        return None
    if release.counter < seen.counter:
        return Refuse("older", f"release {release.counter} is older than {seen.counter}, which was seen before")
    if release.bundle_sha256 != seen.bundle_sha256:
        return Refuse("twofold", f"release {seen.counter} asked for {seen.bundle_sha256}, now {release.bundle_sha256}")
    return None


def _back(standing: Standing, release: Release) -> RollBack | None:
    active, previous = standing.active, standing.previous
    if active is None or active not in release.revoked or previous is None:
        return None
    if previous in release.revoked or previous in standing.refused:
        return None
    return RollBack(active, previous)


def _unfit(standing: Standing, release: Release) -> Refuse | None:
    wanted = release.bundle_sha256
    if wanted in standing.refused:
        return Refuse("refused-before", f"the bundle {wanted} failed here before")
    if release.chip is not None and release.chip != standing.chip:
        here = standing.chip or "of no known name (say which with --chip)"
        return Refuse("chip", f"release {release.counter} is for the chip {release.chip}, this one is {here}")
    try:
        young = version_of(standing.version) < version_of(release.minimum_version)
    except ValueError as error:
        return Refuse("version", f"release {release.counter}: {error}")
    if young:
        least = release.minimum_version
        return Refuse("version", f"release {release.counter} needs version {least}, here is {standing.version}")
    return None


def _delta(standing: Standing, release: Release) -> DeltaFrom | None:
    """The smallest delta from a bundle that is held."""
    held = {one for one in (standing.active, standing.previous) if one is not None}
    fit = [one for one in release.deltas if one.old_sha256 in held and one.size_bytes < release.bundle_bytes]
    return min(fit, key=lambda one: (one.size_bytes, one.sha256), default=None)


__all__ = [
    "REFUSALS",
    "Action",
    "FetchDelta",
    "FetchWhole",
    "Refuse",
    "Resting",
    "RollBack",
    "Seen",
    "Standing",
    "Stay",
    "decide",
    "seen_after",
    "version_of",
]
