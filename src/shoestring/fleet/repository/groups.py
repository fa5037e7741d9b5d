"""Groups of devices as the delegations of `targets` have them, and what each share of them runs.

A group with waves 1, 10, 100 is three delegated roles: `GROUP.1` may name the release of share 00 and of the canaries,
`GROUP.2` those of shares 01 to 09, `GROUP.3` the others. The paths are told apart and every delegation is terminating,
so no role can speak for a share of another one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuf.api.metadata import DelegatedRole  # type: ignore[attr-defined]

from shoestring.base import canonical
from shoestring.base.errors import RepositoryError, StorageError, UsageError
from shoestring.base.limits import MAX_RELEASE_BYTES
from shoestring.base.opens import open_within
from shoestring.domain.release import Release, canary_path, share_path
from shoestring.fleet.repository.book import TARGETS
from shoestring.fleet.roles import wave_shares, waves_of

if TYPE_CHECKING:
    from pathlib import Path

    from tuf.api.metadata import Key, TargetFile, Targets  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Group:
    """Devices that follow one line of releases.

    Args:
        name: of the group.
        waves: per cents after each wave.
        canaries: devices that belong to the first wave whatever their share.
    """

    name: str
    waves: tuple[int, ...]
    canaries: tuple[str, ...]

    @property
    def roles(self) -> tuple[str, ...]:
        """One a wave."""
        return waves_of(self.name, len(self.waves))

    def paths(self, wave: int) -> tuple[str, ...]:
        """Of the releases that a wave may name, counted from 1."""
        shares = tuple(share_path(self.name, share) for share in wave_shares(self.waves)[wave - 1])
        named = tuple(canary_path(self.name, device) for device in self.canaries) if wave == 1 else ()
        return (*shares, *named)


def groups_of(targets: Targets) -> dict[str, Group]:
    """All groups, by name, as their delegations say."""
    found: dict[str, dict[int, list[str]]] = {}
    for role in _roles(targets).values():
        group, _, wave = role.name.rpartition(".")
        found.setdefault(group, {})[int(wave)] = list(role.paths or ())
    groups = {}
    for name, waves in found.items():
        reached, per_cents = 0, []
        for number in sorted(waves):
            reached += sum("/canary/" not in path for path in waves[number])
            per_cents.append(reached)
        canaries = tuple(path.split("/")[2] for path in waves[1] if "/canary/" in path)
        groups[name] = Group(name, tuple(per_cents), canaries)
    return groups


def the_group(targets: Targets, name: str) -> Group:
    """One of them. Raises UsageError."""
    groups = groups_of(targets)
    if name not in groups:
        raise UsageError(
            f"there is no group {name[:80]!r}; there are: {', '.join(sorted(groups)) or 'none'}",
            hint=f"make it: shoestring fleet group DIR {name[:40]}",
        )
    return groups[name]


def delegate(targets: Targets, group: Group, keys: dict[str, tuple[Key, ...]], threshold: dict[str, int]) -> None:
    """Write the delegations of a group anew.

    Args:
        targets: to be changed.
        group: as it shall be.
        keys: of each of its roles.
        threshold: likewise.
    """
    delegations = targets.delegations
    roles = _roles(targets)
    for name in [name for name in roles if name.rpartition(".")[0] == group.name]:
        del roles[name]
    for wave, name in enumerate(group.roles, start=1):
        ids = [key.keyid for key in keys[name]]
        roles[name] = DelegatedRole(name, ids, threshold[name], True, list(group.paths(wave)))
        if delegations is not None:
            delegations.keys.update({key.keyid: key for key in keys[name]})


def read_release(folder: Path, target: TargetFile) -> Release:
    """A release that is in force. Raises RepositoryError, StorageError."""
    name = target.get_prefixed_paths()[0]
    try:
        with open_within(folder / TARGETS, name) as stream:
            data = stream.read(MAX_RELEASE_BYTES + 1)
    except OSError as error:
        raise StorageError(f"cannot read {name}: {error.strerror or error}") from error
    if canonical.sha256_hex(data) != target.hashes.get("sha256"):
        raise RepositoryError(f"{name} of {folder} is not the file that was signed", hint="restore it from a copy")
    return canonical.decode(data, Release, lambda reason: RepositoryError(f"{name}: {reason}"))


def _roles(targets: Targets) -> dict[str, DelegatedRole]:
    if targets.delegations is None or targets.delegations.roles is None:
        raise RepositoryError("targets.json delegates nothing", hint="this repository was not made by `fleet init`")
    return targets.delegations.roles


def releases_of(folder: Path, group: Group, waves: dict[str, Targets]) -> tuple[Release | None, ...]:
    """What the shares of each wave run; all of a wave run the same.

    Raises:
        RepositoryError: the shares of a wave differ, or a file is not what was signed.
        StorageError: a file cannot be read.
    """
    found: list[Release | None] = []
    for name in group.roles:
        targets = waves[name].targets
        hashes = {target.hashes.get("sha256", "") for target in targets.values()}
        if len(hashes) > 1:
            raise RepositoryError(f"the shares of {name} run different releases", hint="restore the folder from a copy")
        found.append(read_release(folder, next(iter(targets.values()))) if targets else None)
    return tuple(found)
