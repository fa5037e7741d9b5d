"""Private keys at hand, found by the public key that a role names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]

from shoestring.base import disk
from shoestring.base.errors import UsageError
from shoestring.trust import keys
from shoestring.trust.key_files import load_private_key, load_public_key, save_key_pair

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from securesystemslib.signer import Key, Signer  # type: ignore[attr-defined]

    from shoestring.trust.keys import PublicKey

MAX_KEY_FILES = 1_000  # in a folder of keys; a fleet has some ten
PUBLIC = ".pub"


class Keyring:
    """Folders with files of keys: `NAME.pub`, and `NAME` where the private half is at hand.

    A private file is opened only when its signature is asked for.

    Args:
        folders: first found counts.
        passphrase: asked for that of a private file, and once for all new ones.
        sealed: whether new private keys get that passphrase.

    Raises:
        UsageError: a folder holds more than MAX_KEY_FILES.
        SignatureError, StorageError: a public file holds no key, or cannot be read.
    """

    def __init__(self, folders: tuple[Path, ...], passphrase: Callable[[Path], str], *, sealed: bool = True) -> None:
        self.folders = folders
        self.named: dict[str, SSlibKey] = {}
        self._passphrase, self._sealed = passphrase, sealed
        self._new: str | None = None
        self._private: dict[str, Path] = {}
        self._open: dict[str, Signer] = {}
        for folder in folders:
            files = sorted(folder.glob(f"*{PUBLIC}"))
            if len(files) > MAX_KEY_FILES:
                raise UsageError(f"{folder} holds {len(files)} keys, the limit is {MAX_KEY_FILES}")
            for path in files:
                self._add(path)

    def make(self, name: str) -> SSlibKey:
        """The public key of that name; a pair is made in the first folder where there is none.

        Raises:
            SignatureError, StorageError: the files cannot be written.
        """
        if name not in self.named:
            folder = disk.make_directory(self.folders[0])
            if self._sealed and self._new is None:
                self._new = self._passphrase(folder)
            self._add(save_key_pair(folder / name, keys.generate(name), self._new))
        return self.named[name]

    def has(self, keyid: str) -> bool:
        """Whether the private half is at hand."""
        return keyid in self._private

    def signer(self, key: Key) -> Signer | None:
        """Who can sign for a key, or None. Raises SignatureError where its file does not open."""
        path = self._private.get(key.keyid)
        if path is None:
            return None
        if key.keyid not in self._open:
            self._open[key.keyid] = CryptoSigner(load_private_key(path, lambda: self._passphrase(path)).inner)
        return self._open[key.keyid]

    def _add(self, path: Path) -> None:
        key = tuf_key(load_public_key(path))
        self.named.setdefault(path.stem, key)
        private = path.with_suffix("")
        if private.is_file():
            self._private.setdefault(key.keyid, private)


def tuf_key(key: PublicKey) -> SSlibKey:
    """A public key as TUF writes it. Its name stays with us: who holds which key is nobody else's business."""
    return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(key.raw))


def our_id(key: Key) -> str:
    """The id that the rest of this project gives to a key of TUF; empty for one that is not of Ed25519."""
    if not isinstance(key, SSlibKey) or key.keytype != "ed25519":
        return ""
    return keys.PublicKey(bytes.fromhex(key.keyval["public"])).key_id
