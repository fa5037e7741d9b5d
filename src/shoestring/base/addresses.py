"""Addresses as they may be shown: passwords hide in many places of them, and whatever is shown ends up in a log."""

from __future__ import annotations

HIDDEN = "..."


def without_password(address: str) -> str:
    """What may be shown of an address: scheme, host, port, and the path where it looks like one.

    Left out is everything up to the last `@`, wherever it stands, since passwords hold slashes, question marks and
    brackets that they should not; and the query and whatever of the path has a `=`, where cameras take passwords too.
    A text that is no address and has no `@` stays as it is.
    """
    scheme, slashes, rest = address.partition("://")
    if not slashes:
        # Mistyped addresses are quoted in errors: `rtsp:/me:word@camera`.
        return f"{HIDDEN}@{address.rpartition('@')[2]}" if "@" in address and ":" in address else address
    rest = rest.rpartition("@")[2]
    cut = min((rest.index(mark) for mark in "?#;" if mark in rest), default=len(rest))
    kept, query = rest[:cut], rest[cut:]
    host, slash, path = kept.partition("/")
    if "=" in path:
        path = HIDDEN
    return f"{scheme}://{host}{slash}{path}{query[:1] + HIDDEN if query else ''}"
