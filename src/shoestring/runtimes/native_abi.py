"""The binary side of a compiled program: `native/kernels/program.h` in ctypes, and how a library gets into the process.

A library is copied into memory that has no name (Linux's memfd) and loaded from there, so that nobody can change the
file between the check and the use. Where the kernel offers no such memory or /proc is not mounted, the copy lies in a
directory that only this user may enter, and is removed as soon as it is loaded.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shoestring.base import disk

if TYPE_CHECKING:
    from collections.abc import Iterator

ABI = 1
ENTRY = "shoestring_program"
SHARED = 3  # e_type of a shared library
OK = 0
MEANINGS = {
    1: "a null pointer, or a thread count it does not allow",
    2: "the weights are not those of this program, or of another byte order",
    3: "its arena or its weights are not aligned to 64 bytes",
    4: "the system refused to start a thread",
}
"""Codes of `init` and `invoke` -> words."""

MACHINES = {3: "x86", 40: "arm", 62: "x86-64", 183: "aarch64", 243: "riscv"}
"""e_machine of an ELF header -> what people call it (https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html)."""

Pointers = ctypes.POINTER(ctypes.c_void_p)
_ArenaBytes = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_uint32)
_Init = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)
_Invoke = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, Pointers, Pointers)
_Close = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class ProgramTable(ctypes.Structure):
    """`shoestring_program_t`."""

    _fields_ = (
        ("abi", ctypes.c_uint32),
        ("max_threads", ctypes.c_uint32),
        ("about", ctypes.c_char_p),
        ("state_bytes", ctypes.c_size_t),
        ("weights_bytes", ctypes.c_size_t),
        ("weights", ctypes.c_void_p),
        ("arena_bytes", _ArenaBytes),
        ("init", _Init),
        ("invoke", _Invoke),
        ("close", _Close),
    )


@dataclass(frozen=True)
class Elf:
    """What an ELF header says.

    Args:
        bits: 32 or 64.
        little: whether the byte order is little-endian.
        kind: e_type; 3 is a shared library.
        machine: e_machine.
        end: bytes that its tables and segments reach to; a shorter file is truncated.
    """

    bits: int
    little: bool
    kind: int
    machine: int
    end: int


def read_elf(data: bytes) -> Elf | None:
    """The ELF header with the extent of what it names, or None when the bytes are no ELF file of version 1.

    The loader maps segments without a look at the file's length, and a process that touches what lies beyond it dies,
    so the extent has to be known before.

    Args:
        data: a file, or at least its start.
    """
    if len(data) < 16 or data[:4] != b"\x7fELF" or data[4] not in (1, 2) or data[5] not in (1, 2) or data[6] != 1:
        return None
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    header = struct.Struct(order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"))
    if len(data) < 16 + header.size:
        return None
    kind, machine, _, _, segments, sections, _, _, size, count, section_size, section_count, _ = header.unpack_from(
        data, 16
    )
    end = max(16 + header.size, segments + size * count, sections + section_size * section_count)
    # p_offset and p_filesz; the flags stand before the offset in a 64-bit header only.
    segment = struct.Struct(order + ("8x Q 16x Q" if wide else "4x I 8x I"))
    for index in range(count):
        start = segments + size * index
        if size < segment.size or start + segment.size > len(data):
            break
        offset, length = segment.unpack_from(data, start)
        end = max(end, offset + length)
    return Elf(64 if wide else 32, data[5] == 1, kind, machine, end)


def own_elf() -> Elf | None:
    """The ELF header of the running Python: what it can load. None where that cannot be told."""
    try:
        with Path("/proc/self/exe").open("rb") as stream:
            return read_elf(stream.read(64))
    except OSError:
        return None


class Library:
    """A shared library loaded from bytes that nobody else can reach.

    Args:
        data: checked by the caller to be a whole ELF library for this machine.

    Raises:
        OSError: the system refuses to load it.
        AttributeError: it does not export `shoestring_program`.
    """

    def __init__(self, data: bytes) -> None:
        self._memory: int | None = None
        try:
            with self._private_copy(data) as path:
                loaded = ctypes.CDLL(path)  # RTLD_NOW and RTLD_LOCAL
        except OSError:
            self._drop_memory()
            raise
        self._path, self._handle = path, loaded._handle
        try:
            self._entry = getattr(loaded, ENTRY)
        except AttributeError:
            self.unload()
            raise
        self._entry.restype = ctypes.POINTER(ProgramTable)
        self._entry.argtypes = ()

    def program(self) -> ProgramTable | None:
        """What the library offers to this processor, or None."""
        answer = self._entry()
        return answer.contents if answer else None

    def unload(self) -> None:
        """Give the library back; nothing of it may be used afterwards."""
        loader = ctypes.CDLL(None)
        loader.dlclose.argtypes = (ctypes.c_void_p,)
        loader.dlopen.argtypes = (ctypes.c_char_p, ctypes.c_int)
        loader.dlopen.restype = ctypes.c_void_p
        loader.dlclose(self._handle)
        # The loader knows a library by its path, here /proc/self/fd/N. Were N free again while it still knows that name
        # (musl never forgets one), the next library on descriptor N would be taken for this one.
        kept = loader.dlopen(self._path.encode(), os.RTLD_NOW | os.RTLD_NOLOAD)
        if kept:
            loader.dlclose(kept)
        else:
            self._drop_memory()

    @contextlib.contextmanager
    def _private_copy(self, data: bytes) -> Iterator[str]:
        """A path to a copy that nobody else can reach; in memory it lasts, as a file it ends with the block."""
        self._memory = _memory_file()
        if self._memory is not None:
            with os.fdopen(os.dup(self._memory), "wb") as stream:
                stream.write(data)
            yield _descriptor_path(self._memory)
            return
        with tempfile.TemporaryDirectory(prefix="shoestring-") as folder:  # mode 0700
            path = Path(folder) / "program.so"
            disk.write_bytes(path, data)
            yield str(path)

    def _drop_memory(self) -> None:
        if self._memory is not None:
            os.close(self._memory)
            self._memory = None


def _memory_file() -> int | None:
    """A descriptor of a file without a name, or None where the system has none or /proc does not show it."""
    try:
        descriptor = os.memfd_create("shoestring", os.MFD_CLOEXEC)
    except (AttributeError, OSError):  # not Linux, an old kernel, or one told to refuse
        return None
    if Path(_descriptor_path(descriptor)).exists():
        return descriptor
    os.close(descriptor)
    return None


def _descriptor_path(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


__all__ = [
    "ABI",
    "ENTRY",
    "MACHINES",
    "MEANINGS",
    "OK",
    "SHARED",
    "Elf",
    "Library",
    "ProgramTable",
    "own_elf",
    "read_elf",
]
