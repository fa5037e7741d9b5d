"""A release as the device reads it: canonical JSON, a closed schema, caps, and its own words held to its place."""

from __future__ import annotations

import re

from shoestring.base.canonical import decode
from shoestring.base.errors import RepositoryError, UsageError
from shoestring.base.limits import MAX_BUNDLE_BYTES, MAX_RELEASE_DELTAS, MAX_RELEASE_REVOKED
from shoestring.domain.release import RELEASE_FORMAT, Release

_SHA256 = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"\d{1,6}(\.\d{1,6}){2}")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
MAX_NAME = 200
"""Characters of a bundle's name or a chip's: shown to people, never used for a path."""


def check_plain(what: str, name: str) -> None:
    """A group's or a device's name becomes part of a path. Raises UsageError."""
    if not _PLAIN.fullmatch(name):
        raise UsageError(
            f"{what} {name[:100]!r} is not a plain word", hint="letters, digits, dots and dashes, at most 100"
        )


def read_release(data: bytes, group: str, ends_s: int) -> Release:
    """Decode a release whose bytes were verified.

    Args:
        data: canonical JSON.
        group: that it was asked for.
        ends_s: the end of the metadata that brought it, s since 1970. A release signed later than that is an attempt to
            put a device's time floor beyond all metadata for good.

    Raises:
        RepositoryError: rule `release`.
    """

    def error(message: str) -> RepositoryError:
        return RepositoryError(f"the release of {group}: {message}", rule="release")

    release = decode(data, Release, error)
    hashes = [release.bundle_sha256, *release.revoked]
    sizes = [release.bundle_bytes]
    for delta in release.deltas:
        hashes += [delta.old_sha256, delta.sha256]
        sizes.append(delta.size_bytes)
    rules = (
        (release.format == RELEASE_FORMAT, f"format {release.format}, this version reads {RELEASE_FORMAT}"),
        (release.group == group, f"it is of the group {release.group[:100]!r}"),
        (release.counter >= 1, f"counter {release.counter}, the least is 1"),
        (0 <= release.issued_s <= ends_s, f"signed at {release.issued_s} s, after its metadata's end at {ends_s} s"),
        (_VERSION.fullmatch(release.minimum_version), f"minimum version {release.minimum_version[:40]!r}"),
        (len(release.name) <= MAX_NAME, f"a name of {len(release.name)} characters, the limit is {MAX_NAME}"),
        (len(release.chip or "") <= MAX_NAME, f"a chip's name longer than {MAX_NAME} characters"),
        (len(release.deltas) <= MAX_RELEASE_DELTAS, f"{len(release.deltas)} deltas, the limit is {MAX_RELEASE_DELTAS}"),
        (
            len(release.revoked) <= MAX_RELEASE_REVOKED,
            f"{len(release.revoked)} revoked hashes, the limit is {MAX_RELEASE_REVOKED}",
        ),
        (all(_SHA256.fullmatch(text) for text in hashes), "a hash is not 64 lower-case hexadecimal digits"),
        (all(0 < size <= MAX_BUNDLE_BYTES for size in sizes), f"a size is not 1 to {MAX_BUNDLE_BYTES} bytes"),
        (release.bundle_sha256 not in release.revoked, "it asks for a bundle that it revokes"),
    )
    for holds, message in rules:
        if not holds:
            raise error(message)
    return release
