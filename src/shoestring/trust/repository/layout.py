"""Where the files of a repository stand, below its address or on a stick; the workshop writes what this says."""

from __future__ import annotations

from urllib.parse import quote

METADATA, TARGETS = "metadata", "targets"


def metadata_path(role: str, version: int | None) -> str:
    """Of a role's metadata; the timestamp alone has no version in its name (specification 6.2)."""
    name = f"{quote(role, safe='')}.json"
    return f"{METADATA}/{name}" if version is None else f"{METADATA}/{version}.{name}"


def target_file(path: str, sha256: str) -> str:
    """Of a target's bytes: `targets/bundles/HASH.NAME`, so that one address never has two contents."""
    folder, slash, name = path.rpartition("/")
    return f"{TARGETS}/{folder}{slash}{sha256}.{name}"
