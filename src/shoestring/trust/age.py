"""Files that only some devices can read: the age format (https://age-encryption.org/v1), by the library pyrage.

One kind of key, X25519. Passphrases, SSH keys, plugins (which start programs) and the armoured text form are not used.
What is encrypted cannot be read or changed unnoticed by whoever carries it. Who made it is not told: anyone can encrypt
to a device, since its recipient is public. That is what signatures inside are for.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from shoestring.base import disk
from shoestring.base.errors import BundleError, MissingExtraError, SignatureError, StorageError, UsageError
from shoestring.base.limits import MAX_AGE_HEADER_BYTES, MAX_AGE_KEY_FILE_BYTES, MAX_AGE_RECIPIENTS
from shoestring.trust.small_file import read_small

if TYPE_CHECKING:
    from collections.abc import Iterable

MAGIC = b"age-encryption.org/v1\n"
_END_OF_HEADER = b"\n--- "
_SECRET, _RECIPIENT = "AGE-SECRET-KEY-1", "age1"


class Identity:
    """The secret by which one device reads what was encrypted to it. It does not show when it is printed.

    Args:
        secret: as age writes it, `AGE-SECRET-KEY-1...`.

    Raises:
        MissingExtraError: pyrage is not installed.
        SignatureError: it is none.
    """

    def __init__(self, secret: str) -> None:
        pyrage = _pyrage()
        try:
            self._inner = pyrage.x25519.Identity.from_str(secret)
        except pyrage.IdentityError:
            raise SignatureError(
                "this is no age identity of X25519", hint="shoestring device-key -o FILE makes one"
            ) from None
        self.recipient = str(self._inner.to_public())

    @classmethod
    def make(cls) -> Identity:
        """A new one. Raises MissingExtraError."""
        return cls(str(_pyrage().x25519.Identity.generate()))

    def __repr__(self) -> str:
        return f"Identity of {self.recipient}"

    def store(self, path: Path) -> None:
        """Write it for its owner alone, in the form of age-keygen. Never over another file. Raises StorageError."""
        path = Path(path)
        if path.exists():
            raise StorageError(f"{path} exists already", hint="a key that is written over is lost: name another file")
        text = f"# public key: {self.recipient}\n{self._inner}\n"
        disk.write_text(path, text, mode=0o600)


def load_identity(path: Path) -> Identity:
    """The identity in a file.

    Raises:
        MissingExtraError: pyrage is not installed.
        StorageError: the file cannot be read.
        SignatureError: others can read it, or it holds not exactly one identity.
    """
    text, mode = _small_file(Path(path))
    secrets = [line.strip() for line in text.splitlines() if line.strip().startswith(_SECRET)]
    if len(secrets) != 1:
        raise SignatureError(
            f"{path} holds {len(secrets)} age identities, one is needed", hint="shoestring device-key -o FILE"
        )
    if mode & 0o077:
        raise SignatureError(f"others than its owner can read {path} (mode {mode:04o})", hint=f"chmod 600 {path}")
    return Identity(secrets[0])


def recipients(words: Iterable[str]) -> tuple[str, ...]:
    """Recipients, each once, in the order given.

    Args:
        words: each a recipient, `age1...`, or a file with one a line; empty lines and comments (#) count for nothing.

    Raises:
        MissingExtraError: pyrage is not installed.
        StorageError: a file cannot be read.
        UsageError: a line is no recipient of X25519, or there are none, or too many.
    """
    pyrage = _pyrage()
    found: dict[str, None] = {}
    for word in words:
        here = word.startswith(_RECIPIENT) and "/" not in word
        lines = [word] if here else _small_file(Path(word))[0].splitlines()
        for number, line in enumerate((text.strip() for text in lines), start=1):
            if not line or line.startswith("#"):
                continue
            where = "--to" if here else f"{word}, line {number}"
            if line.startswith(_SECRET):
                # Not quoted: what it says is a secret.
                raise UsageError(
                    f"{where} is a device's secret", hint="give its recipient, age1..., and keep the secret there"
                )
            try:
                found[str(pyrage.x25519.Recipient.from_str(line))] = None
            except pyrage.RecipientError:
                raise UsageError(
                    f"{where}: {line[:80]!r} is no recipient", hint="shoestring device-key prints one: age1..."
                ) from None
    if not 1 <= len(found) <= MAX_AGE_RECIPIENTS:
        raise UsageError(f"{len(found)} recipients, from 1 to {MAX_AGE_RECIPIENTS} can be encrypted to")
    return tuple(found)


def encrypt(source: BinaryIO, target: BinaryIO, to: Iterable[str]) -> None:
    """Encrypt a stream, a chunk at a time.

    Args:
        source: at its first byte.
        target: to write to.
        to: recipients, as `recipients` gives them.

    Raises:
        MissingExtraError: pyrage is not installed.
        OSError: of the streams.
    """
    pyrage = _pyrage()
    keys = [pyrage.x25519.Recipient.from_str(word) for word in to]
    reader, writer = _Reader(source), _Writer(target, None)
    try:
        pyrage.encrypt_io(reader, writer, keys)
    except (pyrage.EncryptError, OSError):
        raise reader.failed or writer.failed or StorageError("what was encrypted could not be written") from None


def decrypt(source: BinaryIO, target: BinaryIO, identity: Identity, *, largest_bytes: int) -> int:
    """Decrypt a stream, a chunk at a time. What was written before an error must not be used.

    Args:
        source: at its first byte; can seek.
        target: to write to.
        identity: of this device.
        largest_bytes: that the content may have.

    Returns:
        Bytes written.

    Raises:
        MissingExtraError: pyrage is not installed.
        BundleError: no age file, one for other devices, one that was changed or cut, or too large.
        OSError: of the streams.
    """
    pyrage = _pyrage()
    _check_header(source)
    reader, writer = _Reader(source), _Writer(target, largest_bytes)
    try:
        pyrage.decrypt_io(reader, writer, [identity._inner])
    except (pyrage.DecryptError, OSError, BundleError) as error:
        failed = reader.failed or writer.failed
        if failed is not None:
            raise failed from None
        if "No matching keys" in str(error):
            raise BundleError(
                f"it was not encrypted to this device ({identity.recipient})",
                hint="encrypt it again with --to that recipient, or give the identity that it was made for",
            ) from None
        raise _damaged(str(error)) from None
    return writer.count


def _check_header(source: BinaryIO) -> None:
    """The library reads a header to its end, whatever that takes; so its length is held here, before."""
    head = source.read(MAX_AGE_HEADER_BYTES)
    source.seek(-len(head), os.SEEK_CUR)
    if not head.startswith(MAGIC):
        raise _damaged("it does not begin as an age file does (the armoured text form is not read)")
    if _END_OF_HEADER not in head:
        raise _damaged(f"its header does not end within {len(head)} bytes, the limit is {MAX_AGE_HEADER_BYTES}")


def _damaged(reason: str) -> BundleError:
    return BundleError(
        f"cannot be decrypted: {' '.join(reason.split())}", hint="fetch the file again; it is damaged or was changed"
    )


class _Reader:
    """Remembers its own error, which the library hands on without its number."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.failed: Exception | None = None

    def read(self, count: int = -1) -> bytes:
        try:
            return self._stream.read(count)
        except OSError as error:
            self.failed = error
            raise


class _Writer:
    """Writes all that it is given, counts it, and stops at a limit."""

    def __init__(self, stream: BinaryIO, largest_bytes: int | None) -> None:
        self._stream, self._largest = stream, largest_bytes
        self.count = 0
        self.failed: Exception | None = None

    def write(self, data: bytes) -> int:
        self.count += len(data)
        if self._largest is not None and self.count > self._largest:
            self.failed = BundleError(f"its content has more than {self._largest} bytes, the limit")
            raise self.failed
        try:
            self._stream.write(data)
        except OSError as error:
            self.failed = error
            raise
        return len(data)

    def flush(self) -> None:
        """Nothing: who owns the stream flushes it."""


def _small_file(path: Path) -> tuple[str, int]:
    return read_small(path, MAX_AGE_KEY_FILE_BYTES, UsageError)


def _pyrage() -> Any:
    try:
        import pyrage
    except ImportError:
        raise MissingExtraError("pyrage", "age") from None
    return pyrage
