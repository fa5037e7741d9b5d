"""Take a bundle back: everywhere it was released, an older one runs again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.domain.release import Release
from shoestring.fleet.repository.groups import Group, groups_of, releases_of
from shoestring.fleet.repository.releasing import next_counter, put_release, revoked_by, running
from shoestring.fleet.repository.shelf import Held, find_bundle, held_bundles, strike

if TYPE_CHECKING:
    from shoestring.fleet.repository.book import Book
    from shoestring.fleet.repository.draft import Draft
    from shoestring.fleet.repository.workshop import Workshop

MAX_RELEASE_REVOKED = 500  # 70 bytes each in every release, and a release has at most 64 KiB


@dataclass(frozen=True)
class Revoked:
    """What was done.

    Args:
        sha256: of the bundle.
        releases: by group, what runs now in the first wave.
        struck: whether the authorisation is gone too; it needs the keys of `targets`.
    """

    sha256: str
    releases: dict[str, Release]
    struck: bool


def revoke(workshop: Workshop, words: str, older: str | None = None) -> Revoked:
    """Take a bundle back. Needs the keys of all waves of its groups, and those of `targets` to strike it.

    Args:
        workshop: where.
        words: its hash, or the first digits.
        older: of the bundle to go back to; None: what the group's last wave runs, or else the newest other one.

    Raises:
        UsageError: no such bundle, or no other one to go back to.
        SignatureError, StorageError: see `Draft.commit`.
    """
    with workshop.changing() as (book, draft):
        bad = find_bundle(book.targets.signed, words)
        wanted = None if older is None else find_bundle(book.targets.signed, older)
        if wanted is not None and wanted.sha256 == bad.sha256:
            raise UsageError(f"{bad.sha256[:12]} cannot be revoked in favour of itself")
        releases: dict[str, Release] = {}
        for group in groups_of(book.targets.signed).values():
            if group.name in bad.groups:
                releases[group.name] = _back(draft, book, group, bad, wanted)
        struck = draft.can_sign("targets")
        if struck:
            strike(draft, bad.sha256)
            draft.change("targets")
        draft.commit()
        return Revoked(bad.sha256, releases, struck)


def _back(draft: Draft, book: Book, group: Group, bad: Held, wanted: Held | None) -> Release:
    """Point every share of a group away from a bundle; shares that run another one go on with that.

    Every release gets a new counter, the newer ones the larger, so that a roll-out under way stays one.
    """
    releases = releases_of(book.folder, group, draft.waves)
    revoked = tuple(sorted({*revoked_by(releases), bad.sha256}))
    if len(revoked) > MAX_RELEASE_REVOKED:
        raise UsageError(f"{group.name} revokes {len(revoked)} bundles, the limit is {MAX_RELEASE_REVOKED}")
    target = wanted or _older(book, group, releases, revoked)
    counter = next_counter(releases)
    made: dict[int, Release] = {}
    last: Release | None = None
    for release in reversed(running(releases)):
        kept = release if release.bundle_sha256 != bad.sha256 else _of(target, release)
        if last is None or kept.bundle_sha256 != last.bundle_sha256:
            last = replace(kept, counter=counter, issued_s=draft.now_s, revoked=revoked)
            counter += 1
        made[release.counter] = last
    for wave, old in enumerate(releases, start=1):
        if old is not None:
            put_release(draft, group, wave, made[old.counter])
    if last is None or releases[0] is None:
        raise UsageError(f"{group.name} runs nothing")
    return made[releases[0].counter]


def _of(target: Held | None, release: Release) -> Release:
    """A release of another bundle."""
    if target is None:
        raise UsageError(
            f"{release.group} has no other bundle to go back to",
            hint="publish a mended one first: it goes to the first wave, and `revoke` then brings it to all others",
        )
    return replace(
        release,
        name=target.name,
        bundle_sha256=target.sha256,
        bundle_bytes=target.size_bytes,
        minimum_version=target.minimum_version,
        chip=target.chip,
        deltas=(),
    )


def _older(book: Book, group: Group, releases: tuple[Release | None, ...], revoked: tuple[str, ...]) -> Held | None:
    held = {one.sha256: one for one in held_bundles(book.targets.signed, group.name) if one.sha256 not in revoked}
    last = releases[-1]
    if last is not None and last.bundle_sha256 in held:
        return held[last.bundle_sha256]
    return next(iter(held.values()), None)
