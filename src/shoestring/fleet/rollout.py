"""What the waves of a group run, and how publishing, promoting and revoking change it. Pure.

The state is one release a wave, first wave first; None where a wave has none yet. A repository signs these states, a
simulated fleet goes through the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.base.limits import MAX_RELEASE_REVOKED
from shoestring.domain.release import RELEASE_FORMAT, DeltaFrom, Release

if TYPE_CHECKING:
    from collections.abc import Iterable

Waves = tuple[Release | None, ...]


@dataclass(frozen=True)
class Wanted:
    """A bundle with what a release says of it.

    Args:
        sha256, size_bytes: of the file.
        name: for people.
        minimum_version: that can run it.
        chip: that it was made for; None: any.
        deltas: that lead to it.
    """

    sha256: str
    size_bytes: int
    name: str
    minimum_version: str
    chip: str | None = None
    deltas: tuple[DeltaFrom, ...] = ()


def next_counter(waves: Waves) -> int:
    """Larger than that of any release of the group; promoting one keeps its counter, so the largest is in force."""
    return 1 + max((one.counter for one in waves if one is not None), default=0)


def revoked_by(waves: Iterable[Release | None]) -> tuple[str, ...]:
    """Bundles that the group's releases revoke: once revoked they stay it."""
    return tuple(sorted({sha256 for one in waves if one is not None for sha256 in one.revoked}))


def published(waves: Waves, group: str, wanted: Wanted, now_s: int) -> tuple[Release, *Waves]:
    """The first wave runs a bundle, under a counter of its own. Raises UsageError for one that was revoked."""
    revoked = revoked_by(waves)
    if wanted.sha256 in revoked:
        raise UsageError(
            f"the bundle {wanted.sha256[:12]} was revoked in the group {group}",
            hint="make a mended bundle; a revoked one stays revoked",
        )
    return (_release(group, wanted, next_counter(waves), now_s, revoked), *waves[1:])


def next_wave(waves: Waves) -> tuple[int, Release] | None:
    """The first wave that does not run the newest release, from 1, and that release; None where all do."""
    newest = waves[0]
    if newest is None:
        return None
    return next(((wave, newest) for wave, one in enumerate(waves, start=1) if one != newest), None)


def promoted(waves: Waves) -> Waves:
    """The next wave runs the newest release too. Raises UsageError where there is none."""
    found = next_wave(waves)
    if found is None:
        raise UsageError("all waves run the newest release", hint="publish a new bundle first")
    wave, release = found
    return (*waves[: wave - 1], release, *waves[wave:])


def older(waves: Waves, held: Iterable[Wanted], bad: str) -> Wanted | None:
    """The bundle to go back to: what the last wave runs, or else the newest other one that is not revoked.

    Args:
        waves: as they are.
        held: bundles that were published in the group, newest first.
        bad: hash of the bundle to leave.
    """
    revoked = {*revoked_by(waves), bad}
    fit = [one for one in held if one.sha256 not in revoked]
    last = waves[-1]
    return next((one for one in fit if last is not None and one.sha256 == last.bundle_sha256), fit[0] if fit else None)


def revoked(waves: Waves, group: str, bad: str, back: Wanted | None, now_s: int) -> Waves:
    """No wave runs a bundle any more; those that run another one go on with that.

    Every release gets a new counter, the newer ones the larger, so that a roll-out under way stays one.

    Args:
        waves: as they are.
        group: of devices.
        bad: hash of the bundle.
        back: what runs in its place; None: there is nothing.
        now_s: s since 1970.

    Raises:
        UsageError: a wave needs another bundle and there is none; or too many are revoked.
    """
    all_revoked = tuple(sorted({*revoked_by(waves), bad}))
    if len(all_revoked) > MAX_RELEASE_REVOKED:
        raise UsageError(f"{group} revokes {len(all_revoked)} bundles, the limit is {MAX_RELEASE_REVOKED}")
    counter = next_counter(waves)
    made: dict[int, Release] = {}
    last: Release | None = None
    for release in sorted({one.counter: one for one in waves if one is not None}.values(), key=lambda one: one.counter):
        if release.bundle_sha256 == bad and back is None:
            raise UsageError(
                f"{group} has no other bundle to go back to",
                hint="publish a mended one first: it goes to the first wave, and `revoke` then brings it to all others",
            )
        if back is not None and release.bundle_sha256 == bad:
            kept = _release(group, back, counter, now_s, all_revoked)
        else:
            kept = replace(release, counter=counter, issued_s=now_s, revoked=all_revoked)
        if last is None or kept.bundle_sha256 != last.bundle_sha256:
            last, counter = kept, counter + 1
        made[release.counter] = last
    return tuple(None if one is None else made[one.counter] for one in waves)


def _release(group: str, wanted: Wanted, counter: int, now_s: int, revoked: tuple[str, ...]) -> Release:
    return Release(
        format=RELEASE_FORMAT,
        group=group,
        counter=counter,
        name=wanted.name,
        bundle_sha256=wanted.sha256,
        bundle_bytes=wanted.size_bytes,
        issued_s=now_s,
        minimum_version=wanted.minimum_version,
        chip=wanted.chip,
        deltas=wanted.deltas,
        revoked=revoked,
    )
