"""seccomp: a process gives up system calls (Linux 3.17 and later; x86_64 and aarch64).

A filter is a program for the kernel's BPF machine (Documentation/userspace-api/seccomp_filter.rst) that sees the number
of a call and its arguments as they stand in registers. What is refused stands in refused_syscalls.toml.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import struct
import tomllib
from importlib import resources

_SET_SECCOMP, _MODE_FILTER = 22, 2
# include/uapi/linux/audit.h; the column of the table.
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
_X32_BIT = 0x4000_0000  # the other numbering of x86_64, in which the same calls go by other numbers
_CLONE_THREAD = 0x10000

_LOAD, _EQUAL, _GREATER, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; the low half of the argument
_ALLOW, _KILL = 0x7FFF_0000, 0x8000_0000


def give_up_calls() -> bool:
    """Refuse the calls of refused_syscalls.toml to this process. It cannot be undone. `no_new_privs` must be set.

    Returns:
        False when this machine or kernel has no such filters, and nothing was given up.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return False
    code = _program(*machine)
    array = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HP", len(code) // 8, ctypes.addressof(array))
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.prctl(_SET_SECCOMP, _MODE_FILTER, ctypes.c_char_p(header), 0, 0)) == 0


@functools.cache
def _table() -> dict[str, dict[str, list[int]]]:
    found = tomllib.loads(resources.files("shoestring.base").joinpath("refused_syscalls.toml").read_text())
    newest = found.pop("newest")
    for group in found.values():
        del group["why"]
    return {**found, "newest": {"newest": newest}}


def _refused(column: int) -> list[int]:
    groups = [calls for name, calls in _table().items() if name not in ("by_argument", "newest")]
    return sorted(numbers[column] for calls in groups for numbers in calls.values() if numbers[column] >= 0)


def _program(arch: int, column: int) -> bytes:
    """The filter. A jump says how many instructions to pass over when it holds, and when it does not."""
    refuse, missing = 0x0005_0000 | errno.EPERM, 0x0005_0000 | errno.ENOSYS
    by_argument = {name: numbers[column] for name, numbers in _table()["by_argument"].items()}
    lines = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, _KILL),
        (_GREATER, 0, 1, _table()["newest"]["newest"][column]),
        (_RETURN, 0, 0, missing),
        (_EQUAL, 0, 1, by_argument["clone3"]),
        (_RETURN, 0, 0, missing),  # the C library then uses clone, whose flags can be seen
    ]
    for number in _refused(column):
        lines += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, refuse)]
    lines += [
        (_EQUAL, 0, 4, by_argument["clone"]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 1, 0, _CLONE_THREAD),
        (_RETURN, 0, 0, refuse),
        (_RETURN, 0, 0, _ALLOW),
        (_EQUAL, 0, 3, by_argument["tgkill"]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 1, 0, os.getpid()),
        (_RETURN, 0, 0, refuse),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
