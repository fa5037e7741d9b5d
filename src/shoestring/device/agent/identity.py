"""Who this device is: a key of its own, made at the first start; its id is the key's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shoestring.base import disk
from shoestring.device.slots.locking import alone
from shoestring.trust.key_files import load_private_key, save_key_pair
from shoestring.trust.keys import generate

if TYPE_CHECKING:
    from pathlib import Path

    from shoestring.trust.keys import PrivateKey

FILE = "device.pem"


def device_key(folder: Path) -> PrivateKey:
    """The key of this device, made where there is none yet. Nothing but its owner can read the file.

    Args:
        folder: of the agent, below the slots; made when missing.

    Raises:
        SignatureError: the file is damaged, or others can read it.
        StorageError: the disk refuses.
        MissingExtraError: cryptography is not installed.
    """
    path = disk.make_directory(folder) / FILE
    if not os.path.lexists(path):
        with alone(folder.parent, wait=True):  # somebody may ask for the id while the agent starts
            if not os.path.lexists(path):
                # A cut between the two files leaves the private one alone, which is all that is read.
                save_key_pair(path, generate(), None)
    return load_private_key(path)


__all__ = ["FILE", "device_key"]
