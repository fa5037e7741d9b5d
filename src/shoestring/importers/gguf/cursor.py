"""Reading a GGUF header from left to right: every size is held against what is left before anything is read."""

from __future__ import annotations

import struct
from typing import BinaryIO

from shoestring.base.errors import ModelError
from shoestring.base.limits import MAX_GGUF_HEADER_BYTES
from shoestring.base.units import format_bytes

DAMAGED = "the file is truncated, damaged or hostile; fetch it again"
FETCH_MORE = "the header is longer than what is here; fetch more of the file: 32 MB hold every header we know"
_MAX_SHOWN = 80


class Cursor:
    """A place in the header.

    Args:
        stream: at the start of the file.
        size_bytes: of the file, or of what is here of it.
        partial: whether the file goes on elsewhere.
    """

    def __init__(self, stream: BinaryIO, size_bytes: int, partial: bool = False) -> None:
        self._stream = stream
        self._partial = partial
        self._end = min(size_bytes, MAX_GGUF_HEADER_BYTES)
        self._capped = size_bytes > MAX_GGUF_HEADER_BYTES
        self.at = 0

    @property
    def left(self) -> int:
        """Bytes that the header may still take."""
        return self._end - self.at

    def need(self, size_bytes: int, what: str) -> None:
        """Raise ModelError unless so many bytes are left."""
        if size_bytes > self.left:
            limit = f"the limit of a header is {format_bytes(MAX_GGUF_HEADER_BYTES)}" if self._capped else "it ends"
            raise ModelError(
                f"{what} takes {size_bytes:,} bytes at byte {self.at:,}, but only {self.left:,} are left: {limit}"
                f"{'' if self._capped else f' at byte {self._end:,}'}",
                hint=FETCH_MORE if self._partial and not self._capped else DAMAGED,
            )

    def take(self, size_bytes: int, what: str) -> bytes:
        """The next bytes. Raises ModelError when there are fewer."""
        self.need(size_bytes, what)
        data = self._stream.read(size_bytes)
        if len(data) != size_bytes:
            raise ModelError("the file shrank while it was read", hint="run it again")
        self.at += size_bytes
        return data

    def skip(self, size_bytes: int, what: str) -> None:
        """Pass over bytes. Raises ModelError when there are fewer."""
        self.need(size_bytes, what)
        self.at += size_bytes
        self._stream.seek(self.at)

    def number(self, code: str, what: str) -> int | float:
        """A little-endian number by its struct code."""
        form = struct.Struct("<" + code)
        value: int | float = form.unpack(self.take(form.size, what))[0]
        return value

    def count(self, what: str, least_bytes: int, limit: int) -> int:
        """A 64-bit count of things that each take at least so many bytes. Raises ModelError when they cannot fit."""
        count = int(self.number("Q", what))
        if self._partial:  # what is too much for this part may be right for the whole
            self.need(count * least_bytes, f"{count:,} {what}")
        if count > limit:
            raise ModelError(f"the file states {count:,} {what}, more than the limit of {limit:,}", hint=DAMAGED)
        self.need(count * least_bytes, f"{count:,} {what}")
        return count

    def text(self, what: str, limit: int) -> str:
        """A string: its length in 64 bits, then UTF-8."""
        size = int(self.number("Q", f"the length of {what}"))
        if size > limit:
            raise ModelError(f"{what} has {size:,} bytes, more than the limit of {limit:,}", hint=DAMAGED)
        data = self.take(size, what)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ModelError(f"{what} is not UTF-8: {data[:_MAX_SHOWN]!r}", hint=DAMAGED) from error
