"""Bundles that the role `targets` authorises, with what the workshop wants to know of them again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base import canonical
from shoestring.base.errors import RepositoryError, UsageError
from shoestring.domain.release import bundle_path
from shoestring.fleet.rollout import Wanted

if TYPE_CHECKING:
    from pathlib import Path

    from tuf.api.metadata import TargetFile, Targets  # type: ignore[attr-defined]

    from shoestring.fleet.repository.draft import Draft

SHORTEST = 8
"""Digits of a hash that name a bundle at least."""
KEEP_BUNDLES = 20
"""Of a group, to go back to; every device fetches their list."""


@dataclass(frozen=True)
class Held:
    """A bundle on the shelf.

    Args:
        wanted: it, with what a release says of it.
        published_s: when it was last published, s since 1970.
        groups: that it was published in.
    """

    wanted: Wanted
    published_s: int
    groups: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Of the file."""
        return self.wanted.sha256


@dataclass(frozen=True)
class _Note:
    """What stands beside a bundle in targets.json."""

    name: str
    published_s: int
    groups: tuple[str, ...]
    minimum_version: str
    chip: str | None


def held_bundles(targets: Targets, group: str | None = None) -> tuple[Held, ...]:
    """Bundles that are authorised, newest first; with a group those that were published in it.

    Raises:
        RepositoryError: the notes beside one are not ours.
    """
    found = []
    for path, target in targets.targets.items():
        if not path.startswith("bundles/"):
            continue
        about = _note_of(path, target)
        if group is None or group in about.groups:
            wanted = Wanted(target.hashes["sha256"], target.length, about.name, about.minimum_version, about.chip)
            found.append(Held(wanted, about.published_s, about.groups))
    return tuple(sorted(found, key=lambda one: (-one.published_s, one.sha256)))


def _note_of(path: str, target: TargetFile) -> _Note:
    return canonical.convert(target.custom, _Note, lambda reason: RepositoryError(f"{path}: {reason}"))


def find_bundle(targets: Targets, words: str) -> Held:
    """The bundle of a hash or its first digits. Raises UsageError."""
    digits = words.lower()
    fitting = [one for one in held_bundles(targets) if len(digits) >= SHORTEST and one.sha256.startswith(digits)]
    if len(fitting) != 1:
        many = "no bundle" if not fitting else f"{len(fitting)} bundles"
        raise UsageError(
            f"{words[:80]!r} names {many} here", hint=f"at least {SHORTEST} digits of a hash that `fleet status` shows"
        )
    return fitting[0]


def note(draft: Draft, held: Held, source: Path) -> None:
    """Authorise a bundle; one that is there already belongs to one group more."""
    before = {one.sha256: one for one in held_bundles(draft.targets)}.get(held.sha256)
    groups = tuple(sorted({*held.groups, *(before.groups if before is not None else ())}))
    one = held.wanted
    custom = canonical.plain(_Note(one.name, held.published_s, groups, one.minimum_version, one.chip))
    draft.add_file(bundle_path(one.sha256), source, one.sha256, one.size_bytes, custom)


def retire(draft: Draft, group: str, running: frozenset[str]) -> tuple[str, ...]:
    """Strike bundles of one group alone that none runs and that KEEP_BUNDLES newer ones have followed; their hashes."""
    gone = [
        one.sha256
        for one in held_bundles(draft.targets, group)[KEEP_BUNDLES:]
        if one.groups == (group,) and one.sha256 not in running
    ]
    for sha256 in gone:
        strike(draft, sha256)
    return tuple(gone)


def strike(draft: Draft, sha256: str) -> None:
    """Authorise a bundle no longer, nor any delta to it or from it."""
    for path in list(draft.targets.targets):
        if path == bundle_path(sha256) or (path.startswith("deltas/") and sha256 in path):
            del draft.targets.targets[path]
