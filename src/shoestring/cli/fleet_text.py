"""The state of a fleet as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoestring.base.units import format_bytes
from shoestring.cli import console
from shoestring.fleet.repository.status import in_days

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoestring.fleet.collect.store import Count
    from shoestring.fleet.repository.status import GroupStatus, RoleStatus, Status

SHOWN = 12


def show_status(found: Status, counts: Sequence[Count]) -> None:
    """Everything on stdout."""
    console.show_table(
        ("role", "version", "signatures", "keys", "at hand", "good for"),
        [_role(one) for one in found.roles],
        right=frozenset({1, 4}),
    )
    rows = [row for group in found.groups for row in _waves(group)]
    if rows:
        print()
        console.show_table(("group", "wave", "per cent", "shares", "runs", "release"), rows, right=frozenset({1, 2, 5}))
    if found.bundles:
        print()
        bundles = [
            (one.sha256[:SHOWN], one.wanted.name, format_bytes(one.wanted.size_bytes), ", ".join(one.groups))
            for one in found.bundles
        ]
        console.show_table(("bundle", "name", "size", "published in"), bundles, right=frozenset({2}))
    if counts:
        print()
        devices = [(one.group, str(one.devices), one.state, one.running_sha256[:SHOWN] or "nothing") for one in counts]
        console.show_table(("group", "devices", "say", "run"), devices, right=frozenset({1}))
    for group in found.groups:
        if group.verdict is not None:
            print(f"\n{group.name}: {group.verdict.words}")
    if found.next:
        print("\nnext:")
        for words in found.next:
            print(f"  {words}")


def _role(role: RoleStatus) -> tuple[str, ...]:
    left = in_days(role.left_s) if role.left_s >= 0 else f"ran out {in_days(-role.left_s)} ago"
    keys = " ".join(key[:SHOWN] for key in role.keys)
    return (role.name, str(role.version), f"{role.threshold} of {len(role.keys)}", keys, str(role.at_hand), left)


def _waves(group: GroupStatus) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for one in group.waves:
        release = one.release
        shares = f"{one.shares[0]:02d} to {one.shares[1]:02d}"
        if one.wave == 1 and group.canaries:
            shares += f" and {len(group.canaries)} canaries"
        runs = "nothing" if release is None else f"{release.name} {release.bundle_sha256[:SHOWN]}"
        counter = "" if release is None else str(release.counter)
        rows.append((group.name, str(one.wave), str(one.per_cent), shares, runs, counter))
    return rows
