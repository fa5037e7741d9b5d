"""What a fleet's repository tells a device, and where it stands there.

The repository is one of The Update Framework (TUF specification 1.0.34): static files, signed. Two kinds of keys divide
the power. The role `targets` (keys kept offline) says which bundles exist at all; one role a wave of a group (keys of
whoever rolls out) says which of them a share of the devices shall run, by the small file that is a `Release`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

RELEASE_FORMAT = 1
BINS = 100
"""Shares of a group, one per cent each; a device is in one of them for good."""


@dataclass(frozen=True)
class DeltaFrom:
    """A delta that a device may take in place of the whole bundle.

    Args:
        old_sha256: of the bundle it starts from.
        sha256: of the delta.
        size_bytes: of the delta.
    """

    old_sha256: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Release:
    """What the devices of one share of a group shall run.

    Args:
        format: RELEASE_FORMAT.
        group: of devices.
        counter: from 1, larger than that of every earlier release of the group; a device never takes a smaller one.
        name: of the bundle, for people.
        bundle_sha256: of the whole file.
        bundle_bytes: likewise.
        issued_s: when it was signed, s since 1970; a device's clock is never before it.
        minimum_version: of this project that can run it, as `1.2.3`.
        chip: that it was made for, as the catalogue names it; None: any.
        deltas: in place of the whole bundle.
        revoked: hashes of bundles that must not run any more.
    """

    format: int
    group: str
    counter: int
    name: str
    bundle_sha256: str
    bundle_bytes: int
    issued_s: int
    minimum_version: str
    chip: str | None
    deltas: tuple[DeltaFrom, ...]
    revoked: tuple[str, ...]


def bin_of(group: str, device: str) -> int:
    """The share of a group that a device is in, 0 to BINS - 1; other groups draw it anew."""
    digest = hashlib.sha256(f"{group}\0{device}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % BINS


def share_path(group: str, share: int) -> str:
    """Target path of the release of one share."""
    return f"{group}/{share:02d}/release.json"


def canary_path(group: str, device: str) -> str:
    """Target path of the release of one device that its owner named to go first; asked for before `share_path`."""
    return f"{group}/canary/{device}/release.json"


def wave_role(group: str, wave: int) -> str:
    """Name of the role that signs the releases of a wave, counted from 1."""
    return f"{group}.{wave}"


def bundle_path(sha256: str) -> str:
    """Target path of a bundle."""
    return f"bundles/{sha256}.shoe"


def delta_path(old_sha256: str, new_sha256: str) -> str:
    """Target path of a delta."""
    return f"deltas/{old_sha256}/{new_sha256}.delta"
