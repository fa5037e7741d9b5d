"""Bundles that the role `targets` authorises, with what the workshop wants to know of them again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.base import canonical
from shoestring.base.errors import RepositoryError, UsageError
from shoestring.domain.release import bundle_path

if TYPE_CHECKING:
    from pathlib import Path

    from tuf.api.metadata import TargetFile, Targets  # type: ignore[attr-defined]

    from shoestring.fleet.repository.draft import Draft

SHORTEST = 8
"""Digits of a hash that name a bundle at least."""


@dataclass(frozen=True)
class Held:
    """A bundle on the shelf.

    Args:
        sha256: of the file.
        size_bytes: likewise.
        name: for people.
        published_s: when it was last published, s since 1970.
        groups: that it was published in.
        minimum_version: of this project that can run it.
        chip: that it was made for; None: any.
    """

    sha256: str
    size_bytes: int
    name: str
    published_s: int
    groups: tuple[str, ...]
    minimum_version: str
    chip: str | None


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
            sha256, size = target.hashes["sha256"], target.length
            found.append(
                Held(sha256, size, about.name, about.published_s, about.groups, about.minimum_version, about.chip)
            )
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
    custom = canonical.plain(_Note(held.name, held.published_s, groups, held.minimum_version, held.chip))
    draft.add_file(bundle_path(held.sha256), source, held.sha256, held.size_bytes, custom)


def strike(draft: Draft, sha256: str) -> None:
    """Authorise a bundle no longer, nor any delta to it."""
    for path in list(draft.targets.targets):
        if path == bundle_path(sha256) or (path.startswith("deltas/") and path.endswith(f"/{sha256}.delta")):
            del draft.targets.targets[path]
