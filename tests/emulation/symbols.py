"""Which version of glibc an ELF file really needs, by the versions of the symbols that it takes from it.

A wheel's tag and a program's triple are promises; the dynamic loader looks at `.gnu.version_r` and at nothing else
(System V gABI; Linux Standard Base Core 5.0, "Symbol Versioning").
"""

from __future__ import annotations

import re
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

GLIBC = re.compile(rb"GLIBC_(\d+)\.(\d+)(?:\.\d+)?$")
SHT_VERNEED = 0x6FFFFFFE
AARCH64 = 183

Version = tuple[int, int]


@dataclass(frozen=True)
class Needs:
    """Of one file.

    Args:
        machine: e_machine of its header.
        glibc: the newest version it takes a symbol of, or None when it takes none.
        libraries: all versions it needs, by the library's name.
    """

    machine: int
    glibc: Version | None
    libraries: dict[str, tuple[str, ...]]


def needs(data: bytes) -> Needs | None:
    """What a file needs, or None when it is no 64-bit little-endian ELF file.

    Raises:
        ValueError: it is one, and its tables lead nowhere.
    """
    if data[:6] != b"\x7fELF\x02\x01":
        return None
    (machine,) = struct.unpack_from("<H", data, 18)
    (start,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    found: dict[str, tuple[str, ...]] = {}
    for index in range(count):
        fields = struct.unpack_from("<IIQQQQIIQQ", data, start + index * size)
        kind, offset, link, entries = fields[1], fields[4], fields[6], fields[7]
        if kind == SHT_VERNEED:
            strings = struct.unpack_from("<IIQQQQ", data, start + link * size)
            found |= _needed(data, offset, entries, strings[4])
    versions = [
        (int(match[1]), int(match[2]))
        for names in found.values()
        for name in names
        if (match := GLIBC.match(name.encode()))
    ]
    return Needs(machine, max(versions, default=None), found)


def _needed(data: bytes, at: int, entries: int, strings: int) -> dict[str, tuple[str, ...]]:
    """Library -> versions, from a table of Elf64_Verneed with Elf64_Vernaux."""
    found = {}
    for _ in range(entries):
        _, count, file, first, following = struct.unpack_from("<HHIII", data, at)
        names, aux = [], at + first
        for _ in range(count):
            _, _, _, name, onward = struct.unpack_from("<IHHII", data, aux)
            names.append(_text(data, strings + name))
            aux += onward
        found[_text(data, strings + file)] = tuple(sorted(names))
        at += following
    return found


def _text(data: bytes, at: int) -> str:
    end = data.index(b"\0", at)
    return data[at:end].decode("ascii", "replace")


def wheel_needs(path: Path) -> tuple[Version | None, str]:
    """The newest glibc that any file for 64-bit Arm in a wheel needs, and the file."""
    worst: tuple[Version | None, str] = (None, "")
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as stream:
                if stream.read(4) != b"\x7fELF":
                    continue
            one = needs(archive.read(name))
            if one is not None and one.machine == AARCH64 and one.glibc and (worst[0] or (0, 0)) < one.glibc:
                worst = (one.glibc, name)
    return worst


def claimed(wheel: str) -> Version | None:
    """The oldest glibc that a wheel's tags promise to run on (PEP 600; PEP 599 for manylinux2014), or None for any."""
    tags = [(int(a), int(b)) for a, b in re.findall(r"manylinux_(\d+)_(\d+)_aarch64", wheel)]
    if "manylinux2014_aarch64" in wheel:
        tags.append((2, 17))
    return min(tags, default=None)
