"""A new repository, and new groups in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tuf.api.metadata import Targets  # type: ignore[attr-defined]

from shoestring.base import disk
from shoestring.base.errors import UsageError
from shoestring.fleet.repository.draft import Draft
from shoestring.fleet.repository.groups import Group, delegate, groups_of, releases_of
from shoestring.fleet.repository.releasing import put_release
from shoestring.fleet.repository.workshop import LOCK, locked
from shoestring.fleet.roles import (
    DEFAULT_WAVES,
    MAX_CANARIES,
    MAX_GROUPS,
    ROLLOUT,
    TOP,
    check_device,
    check_group,
    check_waves,
)  # fmt: skip

if TYPE_CHECKING:
    from tuf.api.metadata import Key  # type: ignore[attr-defined]

    from shoestring.fleet.repository.workshop import Workshop

MAX_THRESHOLD = 10


def init(workshop: Workshop, *, root_threshold: int = 1) -> tuple[str, ...]:
    """Make a repository without groups; keys that the folder of keys lacks are made.

    Args:
        workshop: where.
        root_threshold: signatures that a root needs; as many keys `root`, `root-2` ... are taken.

    Returns:
        Names of the roles written.

    Raises:
        UsageError: there is one already, or the threshold makes no sense.
        SignatureError, StorageError: as in `Draft.commit`.
    """
    if not 1 <= root_threshold <= MAX_THRESHOLD:
        raise UsageError(f"a threshold of {root_threshold} is outside 1..{MAX_THRESHOLD}")
    disk.make_directory(workshop.folder)
    with locked(workshop.folder):
        if any(path.name != LOCK for path in workshop.folder.iterdir()):
            raise UsageError(f"{workshop.folder} is not empty", hint="name a new folder")
        ring = workshop.keyring
        draft = Draft(workshop.folder, None, ring, workshop.clock())
        for name in TOP:
            draft.root.add_key(ring.make(name), name)
        for number in range(2, root_threshold + 1):
            draft.root.add_key(ring.make(f"root-{number}"), "root")
        draft.root.roles["root"].threshold = root_threshold
        ring.make(ROLLOUT)
        return draft.commit()


def set_group(
    workshop: Workshop, name: str, *, waves: tuple[int, ...] | None = None, canaries: tuple[str, ...] | None = None
) -> Group:
    """Make a group, or deal its shares out anew. Needs the keys of `targets` and of the waves.

    Args:
        workshop: where.
        name: of the group.
        waves: None: as they are, or DEFAULT_WAVES.
        canaries: devices that go first; None: as they are.

    Returns:
        The group as it is now.

    Raises:
        UsageError: a name, an id or the waves make no sense; or the waves are changed within a roll-out.
        SignatureError, StorageError: as in `Draft.commit`.
    """
    check_group(name)
    named = None if canaries is None else tuple(sorted(set(map(check_device, canaries))))
    if waves is not None:
        check_waves(waves)
    with workshop.changing() as (book, draft):
        old = groups_of(book.targets.signed).get(name)
        if old is None and len(groups_of(book.targets.signed)) >= MAX_GROUPS:
            raise UsageError(f"there are {MAX_GROUPS} groups, the limit")
        group = old or Group(name, DEFAULT_WAVES, ())
        if waves is not None:
            group = replace(group, waves=waves)
        if named is not None:
            group = replace(group, canaries=named)
        if len(group.canaries) > MAX_CANARIES:
            raise UsageError(f"{len(group.canaries)} canaries, the limit is {MAX_CANARIES}")
        keys, threshold = _rollout_keys(workshop, draft.targets, old)
        runs = None if old is None else releases_of(book.folder, old, {n: w.signed for n, w in book.waves.items()})
        if runs is not None and old is not None and old.waves != group.waves and len(set(runs)) > 1:
            raise UsageError(
                f"{name} is within a roll-out: its waves run different releases",
                hint="promote it to the last wave first, or revoke the new bundle",
            )
        delegate(draft.targets, group, dict.fromkeys(group.roles, keys), dict.fromkeys(group.roles, threshold))
        for gone in [role for role in draft.waves if role.rpartition(".")[0] == name and role not in group.roles]:
            del draft.waves[gone]
        for wave, role in enumerate(group.roles, start=1):
            draft.waves.setdefault(role, Targets())
            put_release(draft, group, wave, None if runs is None else runs[min(wave, len(runs)) - 1])
        draft.change("targets", *group.roles)
        draft.commit()
        return group


def _rollout_keys(workshop: Workshop, targets: Targets, old: Group | None) -> tuple[tuple[Key, ...], int]:
    """Those of the group's first wave; of a new group, those named `rollout` in the folder of keys."""
    if old is not None:
        role = targets.get_delegated_role(old.roles[0])
        return tuple(targets.get_key(keyid) for keyid in role.keyids), role.threshold
    named = workshop.keyring.named
    if ROLLOUT not in named:
        raise UsageError("there is no key `rollout` at hand for the group's waves", hint="name its folder: --keys DIR")
    return (named[ROLLOUT],), 1
