"""A file as a Python stream whose every call goes through the seam."""

from __future__ import annotations

import io
import os

from shoestring.base.disk import kernel
from shoestring.base.disk.locking import hold


class Stream(io.RawIOBase):
    """Reads and writes a descriptor at a position of its own.

    It tells nobody its descriptor, so that no library writes past the seam.

    Args:
        descriptor: open to read and write; closed with the stream.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._place = 0
        self._given_up = False

    def give_up(self) -> None:
        """What is still in a buffer above is thrown away when the stream is closed: the file is to be removed."""
        self._given_up = True

    def readable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer from here on. Returns the number of bytes, 0 at the end."""
        data = kernel.current().read(self._descriptor, len(buffer), self._place)
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        """One call; it may take a part, and the buffer above goes on with the rest."""
        if self._given_up:
            return len(data)
        taken = kernel.current().write(self._descriptor, memoryview(data), self._place)
        self._place += taken
        return taken

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; as in `io.RawIOBase`."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place}.get(whence)
        if base is None:
            base = kernel.current().status(self._descriptor).st_size
        if base + offset < 0:
            raise ValueError(f"place {base + offset} lies before the file")
        self._place = base + offset
        return self._place

    def truncate(self, size: int | None = None) -> int:
        """Make the file this long; as in `io.RawIOBase`."""
        size = self._place if size is None else size
        kernel.current().truncate(self._descriptor, size)
        return size

    def sync(self) -> None:
        """Returns when what was written is on the medium. Flush the buffer above first."""
        kernel.current().sync(self._descriptor)

    def lock(self) -> None:
        """Hold the file alone until the stream is closed, where the file system can. Raises OSError."""
        hold(self._descriptor, wait=False)

    def links(self) -> int:
        """How many names the file has."""
        return kernel.current().status(self._descriptor).st_nlink

    def close(self) -> None:
        """Close the descriptor, once."""
        if not self.closed:
            super().close()
            kernel.current().close(self._descriptor)
