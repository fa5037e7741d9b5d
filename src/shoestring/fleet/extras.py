"""What the workshop's side of a fleet needs beside the base install."""

from __future__ import annotations

from importlib.util import find_spec

from shoestring.base.errors import MissingExtraError

PACKAGES = ("tuf", "cryptography")


def check_extras() -> None:
    """Ask before anything of `fleet.repository` is imported. Raises MissingExtraError."""
    for package in PACKAGES:
        if find_spec(package) is None:
            raise MissingExtraError(package, "fleet")
