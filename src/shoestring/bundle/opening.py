"""Open a bundle: everything is verified before anything is handed out."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from shoestring.base import canonical
from shoestring.base.errors import StorageError
from shoestring.bundle.bom_rules import read_bom
from shoestring.bundle.evidence_rules import check_evidence
from shoestring.bundle.refusal import refuse
from shoestring.bundle.stored import CHUNK_BYTES, stored_bytes, stored_sha256, unpacked
from shoestring.bundle.verifying import Verified, verify
from shoestring.domain.evidence import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from shoestring.domain.manifest import Blob, Manifest
    from shoestring.domain.signature import Signature


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
        self._blobs = {blob.sha256: blob for blob in verified.manifest.blobs}
        self.crcs = verified.crcs
        self.manifest: Manifest = verified.manifest
        self.sha256 = verified.sha256
        self.envelope = verified.envelope

    @property
    def signatures(self) -> tuple[Signature, ...]:
        """As they lie in the file, by key id; `bundle.signing.check_signatures` says whether they hold."""
        return () if self.envelope is None else self.envelope.signatures

    @property
    def descriptor(self) -> int:
        """Of the file that was verified, for a child process that shall open the same one. Raises BundleError."""
        if self._stream.closed:
            raise refuse(f"{self.path} was closed")
        return self._stream.fileno()

    def read(self, sha256: str) -> bytes:
        """Content of a blob. Its stored bytes are hashed again: the file may have been written to since it was opened.

        Raises:
            BundleError: there is no such blob, the bundle was closed, or the content changed.
        """
        blob = self._blob(sha256)
        data = b"".join(self.stored_chunks(sha256))
        if canonical.sha256_hex(data) != stored_sha256(blob):
            raise refuse(f"blob {sha256} changed after the bundle was opened")
        if blob.stored is None:
            return data
        content = io.BytesIO()  # unlike a join, it does not hold everything twice
        for chunk in unpacked(blob, (data,)):
            content.write(chunk)
        return content.getvalue()

    def stored_chunks(self, sha256: str) -> Iterator[bytes]:
        """Bytes of a blob as they lie in the file, a chunk at a time; their hash is for the caller to compare.

        Raises:
            BundleError: there is no such blob, or the bundle was closed or cut.
            StorageError: the file cannot be read.
        """
        left, position = stored_bytes(self._blob(sha256)), self._offsets[sha256]
        while left > 0:
            if self._stream.closed:
                raise refuse(f"{self.path} was closed before blob {sha256} was read")
            try:
                self._stream.seek(position)
                chunk = self._stream.read(min(left, CHUNK_BYTES))
            except OSError as error:
                raise _unreadable(self.path, error) from error
            if not chunk:
                raise refuse(f"blob {sha256} changed after the bundle was opened: it was cut")
            left, position = left - len(chunk), position + len(chunk)
            yield chunk

    def _blob(self, sha256: str) -> Blob:
        if sha256 not in self._blobs:
            raise refuse(f"it has no blob {sha256!r}")
        return self._blobs[sha256]

    def evidence(self) -> Evidence:
        """What the certificates rest on.

        Raises:
            BundleError: it is not canonical JSON of the closed schema, or is not consistent in itself.
        """
        data = self.read(self.manifest.evidence)
        evidence = canonical.decode(data, Evidence, lambda reason: refuse(f"evidence: {reason}"))
        check_evidence(evidence)
        return evidence

    def bom(self, evidence: Evidence | None = None) -> dict[str, Any] | None:
        """The bill of materials (CycloneDX); None in a bundle from before there was one.

        Args:
            evidence: of this bundle, where the caller has read it already.

        Raises:
            BundleError: it speaks of another bundle, or is not of its form; see `bundle.bom_rules`.
        """
        if self.manifest.bom is None:
            return None
        return read_bom(self.read(self.manifest.bom), self.manifest, evidence or self.evidence())

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

    Reads the file once, and compressed blobs once more to expand them. Memory: the manifest and a few chunks of a blob,
    whatever the file's size and whatever it expands to.

    Args:
        path: of a `.shoe` file.

    Raises:
        BundleError: it is not exactly what `pack` and `sign_bundle` would write for its manifest and signatures.
        StorageError: it is missing or cannot be read.
    """
    path = Path(path)
    stream = open_regular(path)
    try:
        return Bundle(path, stream, verify(stream, os.fstat(stream.fileno()).st_size))
    except OSError as error:
        stream.close()
        raise _unreadable(path, error) from error
    except BaseException:
        stream.close()
        raise


def open_regular(path: Path) -> BinaryIO:
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
