"""Add keys to roles and take keys away, and how many of them must sign."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.base.errors import UsageError
from shoestring.fleet.repository.groups import groups_of
from shoestring.fleet.repository.setup import MAX_THRESHOLD
from shoestring.fleet.roles import ROLLOUT, TOP

if TYPE_CHECKING:
    from tuf.api.metadata import Key, Root, Targets  # type: ignore[attr-defined]

    from shoestring.fleet.repository.draft import Draft
    from shoestring.fleet.repository.workshop import Workshop


def add_key(workshop: Workshop, role: str, key: Key, *, threshold: int | None = None) -> tuple[str, ...]:
    """Let a key sign for a role. Needs the keys of `root`, for a wave those of `targets`, and those of the role.

    Args:
        workshop: where.
        role: one of TOP; GROUP.N for a wave; GROUP for all its waves; `rollout` for all waves of all groups.
        key: to be added.
        threshold: signatures that the role needs from now on; None: as many as now.

    Returns:
        Roles that were signed anew.

    Raises:
        UsageError: an unknown role, or a threshold that its keys cannot meet.
        SignatureError, StorageError: as in `Draft.commit`.
    """
    with workshop.changing() as (_, draft):
        for name in _meant(draft, role):
            _delegator(draft, name).add_key(key, name)
            _set_threshold(draft, name, threshold)
        return draft.commit()


def remove_key(workshop: Workshop, role: str, keyid: str, *, threshold: int | None = None) -> tuple[str, ...]:
    """Let a key no longer sign for a role: it was lost or stolen, or its owner left. As `add_key`.

    Raises:
        UsageError: likewise; or the role has no such key.
        SignatureError, StorageError: likewise.
    """
    with workshop.changing() as (_, draft):
        names = [
            name for name in _meant(draft, role) if keyid in _delegator(draft, name).get_delegated_role(name).keyids
        ]
        if not names:
            raise UsageError(f"{role} has no key {keyid[:12]}", hint="`fleet status DIR` shows the keys of each role")
        for name in names:
            _delegator(draft, name).revoke_key(keyid, name)
            _set_threshold(draft, name, threshold)
        return draft.commit()


def _meant(draft: Draft, role: str) -> tuple[str, ...]:
    """Names of the roles; each gets a new version, and so does whoever names its keys."""
    if role in TOP:
        draft.change("root", role)
        return (role,)
    groups = groups_of(draft.targets)
    if role == ROLLOUT:
        found = tuple(draft.waves)
    elif role in groups:
        found = groups[role].roles
    else:
        found = (role,) if role in draft.waves else ()
    if not found:
        known = ", ".join((*TOP, ROLLOUT, *groups))
        raise UsageError(f"there is no role {role[:80]!r}", hint=f"there are {known}, and GROUP.N for one wave")
    draft.change("targets", *found)
    return found


def _delegator(draft: Draft, role: str) -> Root | Targets:
    return draft.root if role in TOP else draft.targets


def _set_threshold(draft: Draft, role: str, threshold: int | None) -> None:
    found = _delegator(draft, role).get_delegated_role(role)
    if threshold is not None:
        found.threshold = threshold
    if not 1 <= found.threshold <= min(len(found.keyids), MAX_THRESHOLD):
        raise UsageError(
            f"{role} needs {found.threshold} signatures and has {len(found.keyids)} keys",
            hint=f"add keys first, or give --threshold 1 to {MAX_THRESHOLD}",
        )
