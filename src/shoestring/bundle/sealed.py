"""Bundles that only some devices can read: encrypted after they were verified, verified after they were decrypted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base import disk
from shoestring.base.errors import BundleError, StorageError
from shoestring.base.limits import MAX_BUNDLE_BYTES
from shoestring.bundle.opening import open_regular
from shoestring.bundle.verifying import verify
from shoestring.trust import age

if TYPE_CHECKING:
    from collections.abc import Sequence


def encrypt_bundle(bundle: Path, to: Sequence[str], out: Path) -> str:
    """Write a bundle for the eyes of some devices alone, whole or not at all.

    Args:
        bundle: sound; sign it first, since encryption says nothing of who made it.
        to: recipients, `age1...`, or files of them.
        out: like `camera.shoe.age`.

    Returns:
        SHA-256 of the bundle.

    Raises:
        BundleError: it is not sound.
        MissingExtraError: pyrage is not installed.
        UsageError: a recipient is none.
        StorageError: it cannot be read, or the disk refuses the file.
    """
    keys, bundle = age.recipients(to), Path(bundle)
    with open_regular(bundle) as source:
        try:
            sha256 = verify(source, os.fstat(source.fileno()).st_size).sha256
            source.seek(0)
        except OSError as error:
            raise _unreadable(bundle, error) from error
        with disk.atomic_file(Path(out)) as target:
            age.encrypt(source, target, keys)
    return sha256


def decrypt_bundle(sealed: Path, identity: age.Identity, out: Path) -> str:
    """Write the bundle in an encrypted file, whole or not at all: it takes its place only once all of it was verified.

    Args:
        sealed: made by `encrypt_bundle`, or by any tool of the age format.
        identity: of this device.
        out: bundle to write.

    Returns:
        SHA-256 of the bundle.

    Raises:
        BundleError: the file is damaged or for other devices, or what it holds is no sound bundle.
        MissingExtraError: pyrage is not installed.
        StorageError: it cannot be read, or the disk refuses the bundle.
    """
    sealed = Path(sealed)
    with open_regular(sealed) as source, disk.atomic_file(Path(out)) as target:
        try:
            size = age.decrypt(source, target, identity, largest_bytes=MAX_BUNDLE_BYTES)
        except BundleError as error:
            raise BundleError(f"{sealed}: {error.message}", hint=error.hint) from None
        target.seek(0)
        return verify(target, size).sha256


def _unreadable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"cannot read {path}: {error.strerror or error}", hint="check the path")


__all__ = ["decrypt_bundle", "encrypt_bundle"]
