"""Open a bundle: everything is verified before anything is handed out."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from shoestring.base import canonical
from shoestring.base.errors import StorageError
from shoestring.bundle.evidence_rules import check_evidence
from shoestring.bundle.refusal import refuse
from shoestring.bundle.verifying import Verified, verify
from shoestring.domain.evidence import Evidence

if TYPE_CHECKING:
    from types import TracebackType

    from shoestring.domain.manifest import Manifest


class Bundle:
    """A verified bundle, open for reading. Use it in a `with` block.

    Args:
        path: of the file, for messages.
        stream: open on the file that was verified. The file stays open, so replacing it changes nothing.
        verified: what verification found.
    """

    def __init__(self, path: Path, stream: BinaryIO, verified: Verified) -> None:
        self.path = path
        self._stream = stream
        self._offsets = verified.offsets
        self._sizes = {blob.sha256: blob.size_bytes for blob in verified.manifest.blobs}
        self.manifest: Manifest = verified.manifest
        self.sha256 = verified.sha256

    def read(self, sha256: str) -> bytes:
        """Content of a blob, hashed again: the file may have been written to since it was opened.

        Raises:
            BundleError: there is no such blob, the bundle was closed, or the content changed.
        """
        if sha256 not in self._sizes:
            raise refuse(f"it has no blob {sha256!r}")
        if self._stream.closed:
            raise refuse(f"{self.path} was closed before blob {sha256} was read")
        try:
            self._stream.seek(self._offsets[sha256])
            data = self._stream.read(self._sizes[sha256])
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if canonical.sha256_hex(data) != sha256:
            raise refuse(f"blob {sha256} changed after the bundle was opened")
        return data

    def evidence(self) -> Evidence:
        """What the certificates rest on.

        Raises:
            BundleError: it is not canonical JSON of the closed schema, or is not consistent in itself.
        """
        data = self.read(self.manifest.evidence)
        evidence = canonical.decode(data, Evidence, lambda reason: refuse(f"evidence: {reason}"))
        check_evidence(evidence)
        return evidence

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._stream.close()

    def __enter__(self) -> Bundle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_bundle(path: Path) -> Bundle:
    """Open a bundle and verify every byte of it; see `bundle.verifying` for the steps.

    Reads the file once. Memory: the manifest and one chunk of a blob, whatever the file's size.

    Args:
        path: of a `.shoe` file.

    Raises:
        BundleError: it is not exactly what `pack` would write.
        StorageError: it is missing or cannot be read.
    """
    path = Path(path)
    stream = _open_regular(path)
    try:
        return Bundle(path, stream, verify(stream, os.fstat(stream.fileno()).st_size))
    except OSError as error:
        stream.close()
        raise _unreadable(path, error) from error
    except BaseException:
        stream.close()
        raise


def _open_regular(path: Path) -> BinaryIO:
    try:
        # Non-blocking, so that a named pipe is refused instead of waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise refuse(f"{path} is not a regular file")
    return os.fdopen(descriptor, "rb")


def _unreadable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"cannot read {path}: {error.strerror or error}", hint="check the path")
