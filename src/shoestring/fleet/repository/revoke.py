"""Take a bundle back: everywhere it was released, an older one runs again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.fleet.repository.groups import groups_of, releases_of
from shoestring.fleet.repository.releasing import put_waves
from shoestring.fleet.repository.shelf import find_bundle, held_bundles, strike
from shoestring.fleet.rollout import older, revoked

if TYPE_CHECKING:
    from shoestring.domain.release import Release
    from shoestring.fleet.repository.workshop import Workshop


@dataclass(frozen=True)
class Revoked:
    """What was done.

    Args:
        sha256: of the bundle.
        releases: by group, what the first wave runs now.
        struck: whether the authorisation is gone too; it needs the keys of `targets`.
    """

    sha256: str
    releases: dict[str, Release]
    struck: bool


def revoke(workshop: Workshop, words: str, to: str | None = None) -> Revoked:
    """Take a bundle back. Needs the keys of all waves of its groups, and those of `targets` to strike it.

    Args:
        workshop: where.
        words: its hash, or the first digits.
        to: of the bundle to go back to; None: what the group's last wave runs, or else the newest other one.

    Raises:
        UsageError: no such bundle, or no other one to go back to.
        SignatureError, StorageError: see `Draft.commit`.
    """
    with workshop.changing() as (book, draft):
        bad = find_bundle(book.targets.signed, words)
        named = None if to is None else find_bundle(book.targets.signed, to)
        if named is not None and named.sha256 == bad.sha256:
            raise UsageError(f"{bad.sha256[:12]} cannot be revoked in favour of itself")
        releases: dict[str, Release] = {}
        for group in groups_of(book.targets.signed).values():
            if group.name not in bad.groups:
                continue
            before = releases_of(book.folder, group, draft.waves)
            held = [one.wanted for one in held_bundles(book.targets.signed, group.name)]
            back = older(before, held, bad.sha256) if named is None else named.wanted
            after = revoked(before, group.name, bad.sha256, back, draft.now_s)
            put_waves(draft, group, before, after)
            if after[0] is not None:
                releases[group.name] = after[0]
        struck = draft.can_sign("targets")
        if struck:
            strike(draft, bad.sha256)
            draft.change("targets")
        draft.commit()
        return Revoked(bad.sha256, releases, struck)
