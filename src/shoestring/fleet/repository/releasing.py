"""Put a release in the place of another one, for all shares of a wave at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.base import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shoestring.domain.release import Release
    from shoestring.fleet.repository.draft import Draft
    from shoestring.fleet.repository.groups import Group


def put_release(draft: Draft, group: Group, wave: int, release: Release | None) -> None:
    """Let every share and canary of a wave run a release.

    Args:
        draft: to be changed; the wave's role gets a new version.
        group: that it belongs to.
        wave: from 1.
        release: None: there is none for them yet.
    """
    role = group.roles[wave - 1]
    draft.waves[role].targets.clear()
    if release is not None:
        data = canonical.encode(release)
        for path in group.paths(wave):
            draft.add_bytes(draft.waves[role], path, data)
    draft.change(role)


def next_counter(releases: Iterable[Release | None]) -> int:
    """Larger than that of any release of the group; promoting one keeps its counter, so the largest is in force."""
    return 1 + max((one.counter for one in releases if one is not None), default=0)


def revoked_by(releases: Iterable[Release | None]) -> tuple[str, ...]:
    """Bundles that the group's releases revoke: once revoked they stay it."""
    return tuple(sorted({sha256 for one in releases if one is not None for sha256 in one.revoked}))


def running(releases: Iterable[Release | None]) -> tuple[Release, ...]:
    """Different releases in force, the newest first."""
    found = {one.counter: one for one in releases if one is not None}
    return tuple(found[counter] for counter in sorted(found, reverse=True))
