"""What a repository says, for people: who signs what, how long that holds, what each share runs, what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoestring.fleet.repository.book import read_book
from shoestring.fleet.repository.groups import groups_of, releases_of
from shoestring.fleet.repository.refresh import RENEW_AT
from shoestring.fleet.repository.shelf import Held, held_bundles
from shoestring.fleet.repository.signers import our_id
from shoestring.fleet.roles import DAY_S, TOP, life_s, wave_shares
from shoestring.fleet.rollout import next_wave

if TYPE_CHECKING:
    from collections.abc import Callable

    from tuf.api.metadata import Root, Targets  # type: ignore[attr-defined]

    from shoestring.domain.release import Release
    from shoestring.fleet.error_rate import Verdict
    from shoestring.fleet.repository.book import Book
    from shoestring.fleet.repository.groups import Group
    from shoestring.fleet.repository.workshop import Workshop


@dataclass(frozen=True)
class RoleStatus:
    """One role.

    Args:
        name: of the role.
        version: in force.
        threshold: signatures that it needs.
        keys: ids of its keys, as `keygen` shows them.
        at_hand: how many of their private halves are.
        left_s: until its time is over; negative: since then.
    """

    name: str
    version: int
    threshold: int
    keys: tuple[str, ...]
    at_hand: int
    left_s: int


@dataclass(frozen=True)
class WaveStatus:
    """One wave of a group.

    Args:
        wave: from 1.
        per_cent: of the group that belongs to it and those before.
        shares: first and last.
        release: that it runs; None: none yet.
    """

    wave: int
    per_cent: int
    shares: tuple[int, int]
    release: Release | None


@dataclass(frozen=True)
class GroupStatus:
    """One group.

    Args:
        name: of the group.
        canaries: ids of devices that go first.
        waves: in order.
        verdict: of the reports about the newest release; None without reports.
    """

    name: str
    canaries: tuple[str, ...]
    waves: tuple[WaveStatus, ...]
    verdict: Verdict | None


@dataclass(frozen=True)
class Status:
    """All of it.

    Args:
        root_version: in force.
        roles, groups, bundles: what there is.
        next: what to do, in words; empty when all is well.
    """

    root_version: int
    roles: tuple[RoleStatus, ...]
    groups: tuple[GroupStatus, ...]
    bundles: tuple[Held, ...]
    next: tuple[str, ...]


def status(workshop: Workshop, judge: Callable[[Release], Verdict] | None = None) -> Status:
    """Look at a repository; nothing is changed.

    Args:
        workshop: where.
        judge: what the reports say about a release; None: nobody is asked.

    Raises:
        RepositoryError, UsageError, StorageError: see `read_book`.
    """
    book = read_book(workshop.folder)
    now_s = workshop.clock()
    roles = tuple(_role(workshop, book, name, now_s) for name in (*TOP, *sorted(book.waves)))
    groups = []
    todo = [words for one in roles if (words := _due(one)) is not None]
    for group in groups_of(book.targets.signed).values():
        releases = releases_of(book.folder, group, {name: one.signed for name, one in book.waves.items()})
        verdict = None if judge is None or releases[0] is None else judge(releases[0])
        shares = wave_shares(group.waves)
        waves = tuple(
            WaveStatus(i + 1, per_cent, (shares[i][0], shares[i][-1]), releases[i])
            for i, per_cent in enumerate(group.waves)
        )
        groups.append(GroupStatus(group.name, group.canaries, waves, verdict))
        todo.append(_next(group, releases, verdict))
    if not groups:
        todo.append("make a group: shoestring fleet group DIR NAME")
    bundles = held_bundles(book.targets.signed)
    return Status(book.root.version, roles, tuple(groups), bundles, tuple(words for words in todo if words))


def _role(workshop: Workshop, book: Book, name: str, now_s: float) -> RoleStatus:
    by: Root | Targets = book.root if name in TOP else book.targets.signed
    role, payload = by.get_delegated_role(name), book.signed()[name]
    keys = [by.get_key(keyid) for keyid in role.keyids]
    at_hand = sum(workshop.keyring.has(key.keyid) for key in keys)
    left_s = int(payload.expires.timestamp() - now_s)
    return RoleStatus(name, payload.version, role.threshold, tuple(map(our_id, keys)), at_hand, left_s)


def _due(role: RoleStatus) -> str | None:
    if role.left_s < 0:
        return (
            f"{role.name} ran out {in_days(-role.left_s)} ago, devices take nothing new: shoestring fleet refresh DIR"
        )
    if role.left_s < RENEW_AT * life_s(role.name):
        return f"{role.name} runs out in {in_days(role.left_s)}: shoestring fleet refresh DIR, with its keys at hand"
    return None


def _next(group: Group, releases: tuple[Release | None, ...], verdict: Verdict | None) -> str:
    if releases[0] is None:
        return f"{group.name} runs nothing yet: shoestring fleet publish DIR BUNDLE --group {group.name}"
    found = next_wave(releases)
    if found is None:
        return ""
    wave, release = found
    where = f"{group.name} has {release.name} in {group.waves[wave - 2]} % of its devices"
    if verdict is None:
        return f"{where}: watch its reports, then shoestring fleet promote DIR --group {group.name}"
    if verdict.passes:
        return f"{where} and may go on: shoestring fleet promote DIR --group {group.name} ({verdict.words})"
    if verdict.tally.failed:
        return f"{where} and is halted: {verdict.words}; shoestring fleet revoke DIR {release.bundle_sha256[:12]}"
    return f"{where} and waits: {verdict.words}"


def in_days(seconds: int) -> str:
    """A time for people: days, below two of them hours."""
    return f"{seconds // DAY_S} days" if seconds >= 2 * DAY_S else f"{seconds // 3600} hours"
