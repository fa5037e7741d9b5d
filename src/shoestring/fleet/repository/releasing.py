"""Let the waves of a group run other releases: what changes is signed anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.base import canonical

if TYPE_CHECKING:
    from shoestring.domain.release import Release
    from shoestring.fleet.repository.draft import Draft
    from shoestring.fleet.repository.groups import Group
    from shoestring.fleet.rollout import Waves


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


def put_waves(draft: Draft, group: Group, before: Waves, after: Waves) -> None:
    """Change the waves that run something else now."""
    for wave, (old, new) in enumerate(zip(before, after, strict=True), start=1):
        if old != new:
            put_release(draft, group, wave, new)
